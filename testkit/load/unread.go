// unread: clients at one address that take all they can get and never move on, and a client at another address that has
// to be served beside them.

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// What the kernel keeps for a slow client; a few KiB are as good as nothing.
const unreadBuffer = 4 << 10

// Where the slow ones are, and the other one.
const (
	slowAddress  = "127.0.0.60"
	otherAddress = "127.0.0.61"
)

// settling is how long the slow ones have to take what they get.
const settling = 10 * time.Second

func runUnread(args []string) error {
	var target Target
	set := newFlags("unread")
	connections := set.Int("http2", 4, "HTTP/2 connections that ask for a blob and take nothing in")
	streams := set.Int("streams", 100, "requests on each of them")
	readers := set.Int("http1", 400, "HTTP/1.1 connections that ask for a blob and do not read it")
	trickles := set.Int("trickled", 200, "uploads of one byte per second")
	size := set.String("size", "64M", "what the other client pushes and pulls")
	patience := set.Float64("patience", 150, "seconds within which all slow ones have to be gone")
	repository := set.String("repository", "bench/unread", "where to push")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	slow, err := target.calling(slowAddress)
	if err != nil {
		return err
	}
	other, err := target.calling(otherAddress)
	if err != nil {
		return err
	}
	client := other.client(1)
	if err := client.createProject(project(*repository)); err != nil {
		return err
	}
	blob := randomBlob(newSeed(), 16<<20)
	if err := client.pushBlob(*repository, blob, wayPut); err != nil {
		return err
	}
	alone, err := serveOther(other, *repository, bytes)
	if err != nil {
		return err
	}
	crowd := &crowd{target: slow, repository: *repository, blob: "/v2/" + *repository + "/blobs/" + blob.Digest,
		deadline: time.Now().Add(settling + time.Duration(*patience*float64(time.Second)))}
	crowd.each(*connections, func() error { return crowd.closedWindows(*streams) })
	crowd.each(*readers, crowd.unreadAnswer)
	crowd.each(*trickles, crowd.trickle)
	time.Sleep(settling)
	beside, err := serveOther(other, *repository, bytes)
	if err != nil {
		return fmt.Errorf("the other client: %w", err)
	}
	stayed := crowd.wait()
	put("alone_s", alone.whole.Seconds())
	put("beside_s", beside.whole.Seconds())
	put("first_byte_s", beside.first.Seconds())
	put("stayed", stayed)
	return nil
}

// served is how long the other client took.
type served struct {
	whole, first time.Duration
}

// serveOther pushes and pulls; the first byte is that of the pull.
func serveOther(target *Target, repository string, size int64) (served, error) {
	client := target.client(1)
	defer client.close()
	blob := randomBlob(newSeed(), size)
	began := time.Now()
	if err := client.pushBlob(repository, blob, wayPut); err != nil {
		return served{}, err
	}
	asked := time.Now()
	body, err := client.openBlob(repository, blob.Digest)
	if err != nil {
		return served{}, err
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 1)); err != nil {
		return served{}, err
	}
	first := time.Since(asked)
	length, err := io.Copy(io.Discard, body)
	if err == nil && length != size-1 {
		err = fmt.Errorf("%d bytes came", length+1)
	}
	return served{time.Since(began), first}, err
}

// crowd is all slow ones.
type crowd struct {
	target     *Target
	repository string
	blob       string
	deadline   time.Time
	group      sync.WaitGroup
	mutex      sync.Mutex
	stayed     int
}

// each starts slow ones; their work ends without an error when the server has ended them.
func (c *crowd) each(count int, work func() error) {
	for index := 0; index < count; index++ {
		c.group.Add(1)
		go func() {
			defer c.group.Done()
			if err := work(); err != nil {
				fmt.Fprintln(os.Stderr, "a slow one:", err)
				c.mutex.Lock()
				c.stayed++
				c.mutex.Unlock()
			}
		}()
	}
}

func (c *crowd) wait() int {
	c.group.Wait()
	return c.stayed
}

// ended reads until the server has closed the connection.
func (c *crowd) ended(line *rawConn) error {
	_ = line.tls.SetDeadline(c.deadline)
	_, err := io.Copy(io.Discard, line.tls)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the server kept the connection")
	}
	return nil
}

// unreadAnswer asks and does not read until the server must have cut the answer: what is left of it then is what the
// kernel had.
func (c *crowd) unreadAnswer() error {
	authorization, err := c.target.client(1).authorization(c.repository)
	if err != nil {
		return err
	}
	line, err := c.target.dialBuffered(unreadBuffer)
	if err != nil {
		return err
	}
	defer line.close()
	if _, err := line.tls.Write(rawRequest(c.target, http.MethodGet, c.blob, authorization)); err != nil {
		return nil
	}
	time.Sleep(time.Until(c.deadline.Add(-5 * time.Second)))
	return c.ended(line)
}

// trickle uploads a byte per second.
func (c *crowd) trickle() error {
	client := c.target.client(1)
	location, err := client.startUpload(c.repository)
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	go func() {
		for time.Now().Before(c.deadline) {
			if _, err := writer.Write([]byte{'a'}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
		writer.CloseWithError(errors.New("the server took it all"))
	}()
	_, _, err = client.send(call{method: "PATCH", path: location, repository: c.repository, body: reader, length: -1,
		contentType: "application/octet-stream"}, http.StatusRequestTimeout, http.StatusServiceUnavailable)
	_ = reader.CloseWithError(io.ErrClosedPipe)
	if time.Now().After(c.deadline) {
		return errors.New("the server took a byte per second to the end")
	}
	var status *StatusError
	if errors.As(err, &status) {
		return err
	}
	// The connection may be closed before the answer is read.
	return nil
}

// closedWindows asks for many blobs on one HTTP/2 connection whose windows are closed.
func (c *crowd) closedWindows(streams int) error {
	line, err := c.target.dialSpeaking("h2", 0)
	if err != nil {
		return err
	}
	defer line.close()
	var text bytes.Buffer
	text.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	// SETTINGS_INITIAL_WINDOW_SIZE is 0; the server's settings are acknowledged.
	frame(&text, 4, 0, 0, []byte{0, 4, 0, 0, 0, 0})
	frame(&text, 4, 1, 0, nil)
	block := c.fields()
	for stream := uint32(1); stream < uint32(2*streams); stream += 2 {
		frame(&text, 1, 5, stream, block)
	}
	if _, err := line.tls.Write(text.Bytes()); err != nil {
		return err
	}
	return c.ended(line)
}

// fields is a GET of the blob as literal header fields, neither indexed nor compressed (RFC 7541, section 6.2.2).
func (c *crowd) fields() []byte {
	var block bytes.Buffer
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", c.blob},
		{":authority", c.target.base.Host}, {"authorization", basic(c.target.User, c.target.password)}} {
		block.WriteByte(0)
		for _, text := range field {
			// One of 127 bytes and more would need another form.
			block.WriteByte(byte(len(text)))
			block.WriteString(text)
		}
	}
	return block.Bytes()
}

func frame(into *bytes.Buffer, kind, flags byte, stream uint32, payload []byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = append(head, flags)
	into.Write(binary.BigEndian.AppendUint32(head, stream))
	into.Write(payload)
}
