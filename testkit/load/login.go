// The commands about credentials: tokens (cached) and login (cold); and ready, which waits for a server.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"sync/atomic"
	"time"
)

func runTokens(args []string) error {
	var target Target
	set := newFlags("tokens")
	connections := set.Int("connections", 64, "connections")
	seconds := set.Float64("seconds", 5, "how long")
	repository := set.String("repository", "bench/small", "repository of the scope")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	request := rawRequest(&target, "GET", tokenPath(*repository), basic(target.User, target.password))
	return target.repeat(request, *connections, time.Duration(*seconds*float64(time.Second)))
}

// repeat sends one request over and over on several connections.
func (t *Target) repeat(request []byte, connections int, length time.Duration) error {
	lines := make([]*rawConn, connections)
	for index := range lines {
		line, err := t.dialRaw()
		if err != nil {
			return err
		}
		defer line.close()
		if _, err := line.exchange(request); err != nil {
			return err
		}
		lines[index] = line
	}
	meter := startMeter(t.PIDs)
	end := time.Now().Add(length)
	parallel(connections, func(index int) {
		for time.Now().Before(end) {
			began := time.Now()
			answer, err := lines[index].exchange(request)
			if err == nil && answer.status != http.StatusOK {
				err = fmt.Errorf("status %d", answer.status)
			}
			if err != nil {
				meter.fail(err)
				return
			}
			meter.done(began, answer.bytes)
		}
	})
	return meter.report()
}

// runLogin makes accounts and logs each in once, as `docker login` does, while a probe on another
// connection watches whether cheap requests are held up by the hashing.
func runLogin(args []string) error {
	var target Target
	set := newFlags("login")
	count := set.Int("count", 20, "accounts")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	admin := target.client(1)
	run := time.Now().UnixNano()
	name := func(number int) string { return fmt.Sprintf("login%d-%d", run, number) }
	const password = "Cold-Passw0rd"
	for number := 0; number < *count; number++ {
		account := map[string]string{"username": name(number), "password": password,
			"email": name(number) + "@example.test", "realname": "bench", "comment": "bench"}
		if err := admin.rest("POST", "/api/v2.0/users", account, http.StatusCreated); err != nil {
			return err
		}
	}
	var stop int32
	probed := make(chan []time.Duration, 1)
	go func() { probed <- target.probe(&stop) }()
	meter := startMeter(target.PIDs)
	for number := 0; number < *count; number++ {
		began := time.Now()
		if err := target.loginOnce(name(number), password); err != nil {
			meter.fail(err)
			continue
		}
		meter.done(began, 0)
	}
	atomic.StoreInt32(&stop, 1)
	probes := <-probed
	sort.Slice(probes, func(a, b int) bool { return probes[a] < probes[b] })
	put("probe_p50_ms", quantile(probes, 0.50))
	put("probe_p99_ms", quantile(probes, 0.99))
	put("probe_max_ms", quantile(probes, 1))
	return meter.report()
}

// loginOnce is a ping without credentials, the token request, a ping with the token; all on a new connection.
func (t *Target) loginOnce(user, password string) error {
	client := t.client(1)
	defer client.close()
	get := func(path, authorization string, expected int) ([]byte, error) {
		request, err := http.NewRequest("GET", t.URL+path, nil)
		if err != nil {
			return nil, err
		}
		if authorization != "" {
			request.Header.Set("Authorization", authorization)
		}
		response, err := client.http.Do(request)
		if err != nil {
			return nil, err
		}
		body, err := finish(response)
		if err == nil && response.StatusCode != expected {
			err = &StatusError{"GET", path, response.StatusCode, string(body)}
		}
		return body, err
	}
	if _, err := get("/v2/", "", http.StatusUnauthorized); err != nil {
		return err
	}
	path := "/service/token?account=" + user + "&client_id=docker&offline_token=true&service=harbor-registry"
	body, err := get(path, basic(user, password), http.StatusOK)
	if err != nil {
		return err
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	_, err = get("/v2/", "Bearer "+answer.Token, http.StatusOK)
	return err
}

// probe times a request that needs no work, every few milliseconds.
func (t *Target) probe(stop *int32) []time.Duration {
	var times []time.Duration
	line, err := t.dialRaw()
	if err != nil {
		return nil
	}
	defer line.close()
	request := rawRequest(t, "GET", "/v2/", "")
	for atomic.LoadInt32(stop) == 0 {
		began := time.Now()
		if _, err := line.exchange(request); err != nil {
			return times
		}
		times = append(times, time.Since(began))
		time.Sleep(2 * time.Millisecond)
	}
	return times
}

func runReady(args []string) error {
	var target Target
	set := newFlags("ready")
	path := set.String("path", "/v2/", "what to ask for")
	status := set.Int("status", 0, "wait for this status (default: any answer)")
	patience := set.Float64("seconds", 60, "give up after so long")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	end := time.Now().Add(time.Duration(*patience * float64(time.Second)))
	last := errors.New("never asked")
	for time.Now().Before(end) {
		client := target.client(1)
		response, err := client.http.Get(target.URL + *path)
		if err == nil {
			_, err = finish(response)
		}
		client.close()
		if err == nil && (*status == 0 || response.StatusCode == *status) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		last = err
		time.Sleep(2 * time.Millisecond)
	}
	return last
}
