// Small images that are pushed beside something else. What of them was acknowledged is pulled at the end.

package main

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// beside is the clients that push, and what the server acknowledged to them.
type beside struct {
	target     *Target
	repository string
	clients    int
	seen       *outcomes
	ended      chan struct{}
	group      sync.WaitGroup
	mutex      sync.Mutex
	blobs      []Blob
	manifests  []Blob
	failed     error
}

func newBeside(target *Target, repository string, clients int) *beside {
	return &beside{target: target, repository: repository, clients: clients, seen: newOutcomes(), ended: make(chan struct{})}
}

func (b *beside) start() {
	for index := 0; index < b.clients; index++ {
		b.group.Add(1)
		go func(index int) {
			defer b.group.Done()
			b.work(index)
		}(index)
	}
}

func (b *beside) work(index int) {
	for number := index; ; number++ {
		select {
		case <-b.ended:
			return
		case <-time.After(50 * time.Millisecond):
		}
		// A client of its own per image: each goes to the next replica.
		client := b.target.client(1)
		err := b.push(client, number)
		client.close()
		if err != nil && !b.seen.forgivable(err) {
			b.mutex.Lock()
			b.failed = fmt.Errorf("beside the upload: %w", err)
			b.mutex.Unlock()
			return
		}
	}
}

func (b *beside) push(client *Client, number int) error {
	size := int64(200_000)
	if number%8 == 0 {
		size = 9 << 20 // more than one part
	}
	image := newImage(randomConfig(newSeed(), 400), []Blob{randomBlob(newSeed(), size)}, nil)
	ways := []string{wayPut, wayPatch, wayPost}
	for _, blob := range image.Blobs {
		if err := client.pushBlob(b.repository, blob, ways[number%len(ways)]); err != nil {
			return err
		}
		b.acknowledged(&b.blobs, blob)
	}
	if err := client.pushManifest(b.repository, image.Manifest.Digest, image.Manifest); err != nil {
		return err
	}
	b.acknowledged(&b.manifests, image.Manifest)
	return nil
}

func (b *beside) acknowledged(list *[]Blob, blob Blob) {
	b.mutex.Lock()
	*list = append(*list, blob)
	b.mutex.Unlock()
}

func (b *beside) stop() error {
	close(b.ended)
	b.group.Wait()
	return b.failed
}

// pullAll pulls all that was acknowledged; by now nothing is down any more.
func (b *beside) pullAll() error {
	client := b.target.client(1)
	for _, blob := range b.blobs {
		if _, err := client.pullBlob(b.repository, blob.Digest, make([]byte, 64<<10)); err != nil {
			return fmt.Errorf("an acknowledged blob of %d bytes: %w", blob.Size, err)
		}
	}
	for _, manifest := range b.manifests {
		path := "/v2/" + b.repository + "/manifests/" + manifest.Digest
		_, body, err := client.send(call{method: "GET", path: path, repository: b.repository, accept: manifestType},
			http.StatusOK)
		if err != nil {
			return fmt.Errorf("an acknowledged manifest: %w", err)
		}
		if got := smallBlob(body); got.Digest != manifest.Digest {
			return &DigestError{got.Digest, got.Size, manifest.Digest}
		}
	}
	put("beside_blobs_pulled", len(b.blobs))
	put("beside_manifests_pulled", len(b.manifests))
	return nil
}
