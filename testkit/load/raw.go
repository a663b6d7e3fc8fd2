// A connection whose every byte is accounted for: net/http retries and hides what the certificate and
// SIGTERM tests have to see.

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

type rawConn struct {
	tcp    net.Conn
	tls    *tls.Conn
	reader *bufio.Reader
	uses   int
}

type rawAnswer struct {
	status int
	bytes  int64
	closes bool
	header http.Header
}

func rawRequest(t *Target, method, path, authorization string) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n", method, path, t.base.Host, manifestType)
	if authorization != "" {
		fmt.Fprintf(&text, "Authorization: %s\r\n", authorization)
	}
	text.WriteString("\r\n")
	return text.Bytes()
}

func (t *Target) dialRaw() (*rawConn, error) { return t.dialBuffered(0) }

// dialBuffered limits the kernel's receive buffer, so that a slow reader is slow for the server too.
func (t *Target) dialBuffered(receive int) (*rawConn, error) {
	return t.dialSpeaking("", receive)
}

// dialSpeaking agrees on a protocol, where one is named.
func (t *Target) dialSpeaking(protocol string, receive int) (*rawConn, error) {
	tcp, err := t.dialer().Dial("tcp", t.base.Host)
	if err != nil {
		return nil, err
	}
	if receive > 0 {
		if err := tcp.(*net.TCPConn).SetReadBuffer(receive); err != nil {
			return nil, err
		}
	}
	config := t.tlsConfig()
	config.ServerName = t.base.Hostname()
	if protocol != "" {
		config.NextProtos = []string{protocol}
	}
	secure := tls.Client(tcp, config)
	_ = secure.SetDeadline(time.Now().Add(10 * time.Second))
	if err := secure.Handshake(); err != nil {
		tcp.Close()
		return nil, err
	}
	_ = secure.SetDeadline(time.Time{})
	return &rawConn{tcp: tcp, tls: secure, reader: bufio.NewReaderSize(secure, 32<<10)}, nil
}

func (c *rawConn) close() { c.tls.Close() }

func (c *rawConn) serial() string {
	return c.tls.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

// unread is the end of a connection before a single byte of the answer.
type unread struct{ err error }

func (u *unread) Error() string { return "closed without an answer: " + u.err.Error() }
func (u *unread) Unwrap() error { return u.err }

func (c *rawConn) exchange(request []byte) (rawAnswer, error) {
	_ = c.tls.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := c.tls.Write(request); err != nil {
		return rawAnswer{}, &unread{err}
	}
	return c.answer(io.Discard)
}

// answer reads one whole answer; a body shorter than announced is an error.
func (c *rawConn) answer(into io.Writer) (rawAnswer, error) {
	if _, err := c.reader.Peek(1); err != nil {
		return rawAnswer{}, &unread{err}
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return rawAnswer{}, err
	}
	defer response.Body.Close()
	n, err := io.Copy(into, response.Body)
	if err != nil {
		return rawAnswer{}, fmt.Errorf("answer cut after %d bytes: %w", n, err)
	}
	c.uses++
	return rawAnswer{response.StatusCode, n, response.Close, response.Header}, nil
}
