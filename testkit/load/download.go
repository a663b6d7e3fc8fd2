// download: one blob again and again, as much of it as comes.

package main

import (
	"fmt"
	"io"
	"time"
)

// The cipher that all servers are measured with.
const downloadCipher = "TLS_AES_128_GCM_SHA256"

func runDownload(args []string) error {
	var target Target
	set := newFlags("download")
	repository := set.String("repository", "bench/seed", "where to pull from")
	digest := set.String("digest", "", "blob to pull; the first time it is hashed, and counted only after that")
	connections := set.Int("connections", 1, "connections at once")
	seconds := set.Int("seconds", 5, "how long")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	if cipher := target.cipher(); cipher != downloadCipher {
		return fmt.Errorf("the server chose %s, not %s", cipher, downloadCipher)
	}
	clients := make([]*Client, *connections)
	var size int64
	for index := range clients {
		clients[index] = target.client(1)
		pulled, err := clients[index].pullBlob(*repository, *digest, make([]byte, 256<<10))
		if err != nil {
			return err
		}
		size = pulled
	}
	meter := startMeter(target.PIDs)
	end := meter.began.Add(time.Duration(*seconds) * time.Second)
	parallel(*connections, func(index int) {
		buffer := make([]byte, 256<<10)
		for began := time.Now(); began.Before(end); began = time.Now() {
			bytes, err := clients[index].discardBlob(*repository, *digest, buffer)
			if err == nil && bytes != size {
				err = fmt.Errorf("%d bytes instead of %d", bytes, size)
			}
			if err != nil {
				meter.fail(err)
				return
			}
			meter.done(began, bytes)
		}
	})
	return meter.report()
}

// discardBlob reads a blob to its end; how many bytes that were.
func (c *Client) discardBlob(repository, digest string, buffer []byte) (int64, error) {
	body, err := c.openBlob(repository, digest)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buffer)
}
