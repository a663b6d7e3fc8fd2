// Bytes to push: random enough not to compress, cheap enough not to disturb the measurement, and the
// same again for the same seed, so that nothing of them has to be kept.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const block = 64 << 10

var (
	baseOnce  sync.Once
	baseBytes []byte
)

// base is the random buffer whose windows all large content is made of.
func base() []byte {
	baseOnce.Do(func() {
		baseBytes = make([]byte, 4<<20)
		fillRandom(baseBytes, 0x9E3779B97F4A7C15)
	})
	return baseBytes
}

func splitmix(state *uint64) uint64 {
	*state += 0x9E3779B97F4A7C15
	z := *state
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

func fillRandom(into []byte, seed uint64) {
	state := seed
	var word [8]byte
	for len(into) > 0 {
		binary.LittleEndian.PutUint64(word[:], splitmix(&state))
		into = into[copy(into, word[:]):]
	}
}

// Content is a blob that is made up while it is read.
type Content struct {
	Seed uint64
	Size int64
}

// Blob names content by its digest.
type Blob struct {
	Digest string
	Size   int64
	bytes  []byte
	made   Content
}

func smallBlob(text []byte) Blob {
	sum := sha256.Sum256(text)
	return Blob{"sha256:" + hex.EncodeToString(sum[:]), int64(len(text)), text, Content{}}
}

// randomBlob computes the digest now, so that no push pays for it.
func randomBlob(seed uint64, size int64) Blob {
	if size <= block {
		text := make([]byte, size)
		fillRandom(text, seed)
		return smallBlob(text)
	}
	made := Content{seed, size}
	hash := sha256.New()
	if _, err := io.Copy(hash, made.reader()); err != nil {
		panic(err)
	}
	return Blob{"sha256:" + hex.EncodeToString(hash.Sum(nil)), size, nil, made}
}

func (b Blob) reader() io.Reader {
	if b.bytes != nil || b.Size == 0 {
		return bytes.NewReader(b.bytes)
	}
	return b.made.reader()
}

func (c Content) reader() io.Reader { return c.from(0) }

// from reads the rest after an offset.
func (c Content) from(offset int64) io.Reader { return &contentReader{content: c, offset: offset} }

type contentReader struct {
	content Content
	offset  int64
	stamp   [16]byte
}

// Read serves 64 KiB windows of the base buffer, each stamped with seed and position.
func (r *contentReader) Read(into []byte) (int, error) {
	left := r.content.Size - r.offset
	if left == 0 {
		return 0, io.EOF
	}
	if int64(len(into)) > left {
		into = into[:left]
	}
	index, within := uint64(r.offset/block), r.offset%block
	if within < 16 {
		binary.LittleEndian.PutUint64(r.stamp[:8], r.content.Seed)
		binary.LittleEndian.PutUint64(r.stamp[8:], index)
		n := copy(into, r.stamp[within:])
		r.offset += int64(n)
		return n, nil
	}
	state := r.content.Seed ^ index*0xD1B54A32D192ED03
	start := int64(splitmix(&state)%uint64(len(base())-block)) &^ 63
	n := copy(into, base()[start+within:start+block])
	r.offset += int64(n)
	return n, nil
}

var seeds = uint64(time.Now().UnixNano())

// newSeed never returns the same seed twice, within a run and, by the clock, across runs.
func newSeed() uint64 {
	state := atomic.AddUint64(&seeds, 0x10001)
	return splitmix(&state)
}

// checkDigest reads a body to its end and compares its digest.
func checkDigest(body io.Reader, digest string, buffer []byte) (int64, error) {
	hash := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{hash}, struct{ io.Reader }{body}, buffer)
	if err != nil {
		return n, err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != digest {
		return n, &DigestError{got, n, digest}
	}
	return n, nil
}

// DigestError is a body that looked whole and is not what was asked for.
type DigestError struct {
	Got    string
	Size   int64
	Wanted string
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("got %s (%d bytes) instead of %s", e.Got, e.Size, e.Wanted)
}
