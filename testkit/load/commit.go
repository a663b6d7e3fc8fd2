// commit: how long a registry takes to answer a push after the last byte of it.

package main

import (
	"fmt"
	"net/http"
	"net/http/httptrace"
	"time"
)

func runCommit(args []string) error {
	var target Target
	set := newFlags("commit")
	size := set.String("size", "5G", "bytes of the blob")
	repository := set.String("repository", "bench/commit", "where to push")
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
	blob := makeBlobs(1, bytes)[0]
	if err := client.warm(*repository); err != nil {
		return err
	}
	meter := startMeter(target.PIDs)
	began := time.Now()
	took, err := client.timedPut(*repository, blob)
	if err != nil {
		return err
	}
	meter.done(began, bytes)
	put("commit_ms", float64(took.Microseconds())/1000)
	if err := meter.report(); err != nil {
		return err
	}
	if there, err := client.headBlob(*repository, blob.Digest); err != nil || !there {
		return fmt.Errorf("the blob is not there: %w", err)
	}
	return nil
}

// timedPut pushes a blob by one PUT; the time from when its last byte was written to the answer.
func (c *Client) timedPut(repository string, blob Blob) (time.Duration, error) {
	location, err := c.startUpload(repository)
	if err != nil {
		return 0, err
	}
	if location, err = withDigest(location, blob.Digest); err != nil {
		return 0, err
	}
	written := make(chan time.Time, 1)
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { written <- time.Now() }}
	_, _, err = c.send(call{method: "PUT", path: location, repository: repository, body: blob.reader(),
		length: blob.Size, contentType: "application/octet-stream", trace: trace}, http.StatusCreated)
	answered := time.Now()
	if err != nil {
		return 0, err
	}
	return answered.Sub(<-written), nil
}
