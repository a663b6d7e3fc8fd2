// unread: clients that ask for a blob and do not read it, each by a connection of its own.

package main

import (
	"fmt"
	"net/http"
	"time"
)

// What the kernel keeps for a client; a few KiB are as good as nothing.
const unreadBuffer = 4 << 10

func runUnread(args []string) error {
	var target Target
	set := newFlags("unread")
	connections := set.Int("connections", 100, "connections, all at once")
	size := set.String("size", "16M", "size of the blob")
	seconds := set.Float64("seconds", 40, "how long they stay")
	repository := set.String("repository", "bench/unread", "where to push the blob")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	client := target.client(1)
	if err := client.createProject(project(*repository)); err != nil {
		return err
	}
	blob := randomBlob(newSeed(), bytes)
	if err := client.pushBlob(*repository, blob, wayPut); err != nil {
		return err
	}
	authorization, err := client.authorization(*repository)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v2/%s/blobs/%s", *repository, blob.Digest)
	request := rawRequest(&target, http.MethodGet, path, authorization)
	stay := time.Duration(*seconds * float64(time.Second))
	answers := make(chan unreadAnswer)
	for index := 0; index < *connections; index++ {
		go func() { answers <- target.leaveUnread(request, stay) }()
	}
	accepted, refused := 0, 0
	for index := 0; index < *connections; index++ {
		switch answer := <-answers; {
		case answer.err != nil:
			return answer.err
		case answer.status == http.StatusOK:
			accepted++
		case answer.status == http.StatusServiceUnavailable && answer.retryAfter != "":
			refused++
		default:
			return fmt.Errorf("status %d, Retry-After %q", answer.status, answer.retryAfter)
		}
	}
	put("accepted", accepted)
	put("refused", refused)
	return nil
}

type unreadAnswer struct {
	status     int
	retryAfter string
	err        error
}

// leaveUnread asks, reads the head of the answer, and holds the connection for a while.
func (t *Target) leaveUnread(request []byte, stay time.Duration) unreadAnswer {
	line, err := t.dialBuffered(unreadBuffer)
	if err != nil {
		return unreadAnswer{err: err}
	}
	defer line.close()
	response, err := line.head(request)
	if err != nil {
		return unreadAnswer{err: err}
	}
	if response.StatusCode == http.StatusOK {
		time.Sleep(stay)
	}
	return unreadAnswer{response.StatusCode, response.Header.Get("Retry-After"), nil}
}

// head sends a request and reads no more than the head of its answer, and what came with that.
func (c *rawConn) head(request []byte) (*http.Response, error) {
	_ = c.tls.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := c.tls.Write(request); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.reader, nil)
}
