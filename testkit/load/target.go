// The server under load: where it is, whom it trusts, who we are.

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Target holds the flags that every command shares, and the tokens it was given.
type Target struct {
	URL  string
	CA   string
	User string
	Auth string
	PIDs string

	// from is the address of this machine that connections come from, where it matters.
	from     net.IP
	password string
	base     *url.URL
	roots    *x509.CertPool
	mutex    sync.Mutex
	tokens   map[string]grant
}

type grant struct {
	token   string
	renewal time.Time
}

func (t *Target) flags(set *flag.FlagSet) {
	set.StringVar(&t.URL, "url", "https://127.0.0.1:5000", "server")
	set.StringVar(&t.CA, "ca", "", "PEM file of the CA")
	set.StringVar(&t.User, "user", "", "account; its password comes from LOAD_PASSWORD")
	set.StringVar(&t.Auth, "auth", "", "none, basic or token (default: token where -user is given)")
	set.StringVar(&t.PIDs, "pids", "", "comma-separated server processes whose CPU time is reported")
}

// parse reads the flags of one command and opens the target.
func parse(set *flag.FlagSet, t *Target, args []string) error {
	t.flags(set)
	if err := set.Parse(args); err != nil {
		return err
	}
	t.password = os.Getenv("LOAD_PASSWORD")
	if t.Auth == "" {
		t.Auth = "none"
		if t.User != "" {
			t.Auth = "token"
		}
	}
	base, err := url.Parse(t.URL)
	if err != nil {
		return err
	}
	t.base = base
	t.tokens = map[string]grant{}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return err
		}
		t.roots = x509.NewCertPool()
		if !t.roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("no certificate in %s", t.CA)
		}
	}
	return nil
}

// at is the same server, account and trust under another URL, with tokens of its own.
func (t *Target) at(text string) (*Target, error) {
	base, err := url.Parse(text)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%q is no URL of a server", text)
	}
	return &Target{URL: text, CA: t.CA, User: t.User, Auth: t.Auth, from: t.from, password: t.password, base: base,
		roots: t.roots, tokens: map[string]grant{}}, nil
}

// calling is the same server as seen from another address of this machine.
func (t *Target) calling(from string) (*Target, error) {
	other, err := t.at(t.URL)
	if err != nil {
		return nil, err
	}
	if other.from = net.ParseIP(from); other.from == nil {
		return nil, fmt.Errorf("%q is no address", from)
	}
	return other, nil
}

func (t *Target) dialer() *net.Dialer {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if t.from != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: t.from}
	}
	return dialer
}

func (t *Target) tlsConfig() *tls.Config {
	return &tls.Config{RootCAs: t.roots, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
}

// Client is one client: its own connections, the target's tokens.
type Client struct {
	target *Target
	http   *http.Client
}

func (t *Target) client(connections int) *Client {
	transport := &http.Transport{
		TLSClientConfig:     t.tlsConfig(),
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConnsPerHost: connections,
		MaxConnsPerHost:     connections,
		DisableCompression:  true,
		WriteBufferSize:     128 << 10,
		ReadBufferSize:      128 << 10,
		DialContext:         t.dialer().DialContext,
		IdleConnTimeout:     5 * time.Minute,
		// A server that hangs is a failure, not a reason to wait for ever.
		ResponseHeaderTimeout: 2 * time.Minute,
	}
	return &Client{t, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// errSecondDial stands for any attempt to open another connection.
var errSecondDial = errors.New("another connection is needed")

// clientHTTP2 is a client that speaks HTTP/2 on one connection and never opens another: Go repeats what
// a server said it did not begin, and what becomes of a new connection is another question.
func (t *Target) clientHTTP2() *Client {
	dialed := int32(0)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if atomic.AddInt32(&dialed, 1) > 1 {
			return nil, errSecondDial
		}
		return t.dialer().DialContext(ctx, network, address)
	}
	transport := &http.Transport{
		TLSClientConfig:       t.tlsConfig(),
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
		ResponseHeaderTimeout: 2 * time.Minute,
		DialContext:           dial,
	}
	return &Client{t, &http.Client{Transport: transport}}
}

func (c *Client) close() { c.http.CloseIdleConnections() }

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// authorization is the header for work on a repository; empty where the server asks for none.
func (c *Client) authorization(repository string) (string, error) {
	t := c.target
	switch t.Auth {
	case "none":
		return "", nil
	case "basic":
		return basic(t.User, t.password), nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if known, ok := t.tokens[repository]; ok && time.Now().Before(known.renewal) {
		return "Bearer " + known.token, nil
	}
	path := tokenPath(repository)
	request, err := http.NewRequest(http.MethodGet, t.URL+path, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", basic(t.User, t.password))
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	body, err := finish(response)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", &StatusError{http.MethodGet, path, response.StatusCode, string(body)}
	}
	var answer struct {
		Token     string `json:"token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("token answer: %w", err)
	}
	if answer.ExpiresIn == 0 {
		answer.ExpiresIn = 60
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	t.tokens[repository] = grant{answer.Token, time.Now().Add(life * 3 / 4)}
	return "Bearer " + answer.Token, nil
}

// tokenPath asks for all actions on a repository and, for those after a comma, the right to pull.
func tokenPath(repositories string) string {
	path := "/service/token?service=harbor-registry"
	for index, repository := range strings.Split(repositories, ",") {
		actions := "pull"
		if index == 0 {
			actions = "pull,push,delete"
		}
		path += "&scope=repository:" + repository + ":" + actions
	}
	return path
}

// StatusError is an answer with a status that was not hoped for.
type StatusError struct {
	Method, Path string
	Code         int
	Body         string
}

func (e *StatusError) Error() string {
	body := e.Body
	if len(body) > 300 {
		body = body[:300]
	}
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Code, strings.TrimSpace(body))
}

func statusOf(err error) int {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code
	}
	return 0
}

func finish(response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// call is one request on a repository.
type call struct {
	method, path, repository string
	body                     io.Reader
	length                   int64
	contentType              string
	contentRange             string
	accept                   string
	trace                    *httptrace.ClientTrace
}

// open sends a request and hands back the answer with its body unread.
func (c *Client) open(what call) (*http.Response, error) {
	location := what.path
	if strings.HasPrefix(location, "/") {
		location = c.target.URL + location
	}
	body := what.body
	if body != nil && what.length == 0 {
		body = http.NoBody
	}
	request, err := http.NewRequest(what.method, location, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.ContentLength = what.length
	}
	if what.trace != nil {
		request = request.WithContext(httptrace.WithClientTrace(request.Context(), what.trace))
	}
	set := func(name, value string) {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	set("Content-Type", what.contentType)
	set("Content-Range", what.contentRange)
	set("Accept", what.accept)
	authorization, err := c.authorization(what.repository)
	if err != nil {
		return nil, err
	}
	set("Authorization", authorization)
	return c.http.Do(request)
}

// send sends a request and expects one of the given statuses.
func (c *Client) send(what call, expected ...int) (*http.Response, []byte, error) {
	response, err := c.open(what)
	if err != nil {
		return nil, nil, err
	}
	body, err := finish(response)
	if err != nil {
		return response, nil, err
	}
	for _, status := range expected {
		if response.StatusCode == status {
			return response, body, nil
		}
	}
	return response, body, &StatusError{what.method, response.Request.URL.Path, response.StatusCode, string(body)}
}

// createProject makes the first part of a repository's name a project, where the server has such a thing.
func (c *Client) createProject(name string) error {
	if c.target.Auth == "none" {
		return nil
	}
	return c.rest(http.MethodPost, "/api/v2.0/projects",
		map[string]any{"project_name": name, "metadata": map[string]string{"public": "false"}},
		http.StatusCreated, http.StatusConflict)
}

func (c *Client) rest(method, path string, payload any, expected ...int) error {
	_, err := c.restAnswer(method, path, payload, expected...)
	return err
}

// fetch reads an object of the API for administrators.
func (c *Client) fetch(path string, into any) error {
	body, err := c.restAnswer(http.MethodGet, path, nil, http.StatusOK)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// restAnswer sends a request to that API, without a body where there is no payload; the body of its answer.
func (c *Client) restAnswer(method, path string, payload any, expected ...int) ([]byte, error) {
	var sent io.Reader
	if payload != nil {
		text, err := json.Marshal(payload)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, c.target.URL+path, sent)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", basic(c.target.User, c.target.password))
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := finish(response)
	if err != nil {
		return nil, err
	}
	for _, status := range expected {
		if response.StatusCode == status {
			return body, nil
		}
	}
	return nil, &StatusError{method, path, response.StatusCode, string(body)}
}

// cipher names what a fresh handshake of this program negotiates.
func (t *Target) cipher() string {
	connection, err := tls.Dial("tcp", t.base.Host, t.tlsConfig())
	if err != nil {
		return "unknown"
	}
	defer connection.Close()
	return tls.CipherSuiteName(connection.ConnectionState().CipherSuite)
}
