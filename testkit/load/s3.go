// s3-push: what an S3 server takes by itself, from a client that uploads in parts as the registry does.
// Signature version 4, with the standard library only.

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	s3Region        = "us-east-1"
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

func runS3Push(args []string) error {
	var target Target
	set := newFlags("s3-push")
	bucket := set.String("bucket", "", "bucket to push to")
	size := set.String("size", "1G", "bytes of the object")
	partSize := set.String("part", "8M", "bytes of a part")
	inFlight := set.Int("in-flight", 2, "parts on their way at a time")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	part, err := parseSize(*partSize)
	if err != nil {
		return err
	}
	upload := &s3Upload{client: target.client(*inFlight + 1), part: part, inFlight: *inFlight,
		path: "/" + *bucket + "/direct-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	content := Content{newSeed(), bytes}
	base()
	// Opens a connection, as the registries' clients do before the clock starts.
	if _, err := upload.send("HEAD", "/"+*bucket, nil, nil); err != nil {
		return err
	}
	meter := startMeter(target.PIDs)
	began := time.Now()
	if err := upload.run(content); err != nil {
		return err
	}
	meter.done(began, bytes)
	put("commit_ms", float64(upload.completing.Microseconds())/1000)
	if err := meter.report(); err != nil {
		return err
	}
	return upload.check(bytes)
}

type s3Upload struct {
	client   *Client
	path     string
	part     int64
	inFlight int
	// How long it took to make an object of the parts.
	completing time.Duration
}

type s3Part struct {
	XMLName xml.Name `xml:"Part"`
	Number  int      `xml:"PartNumber"`
	ETag    string   `xml:"ETag"`
}

// run uploads the content in parts; while some are on their way, the next one is made.
func (u *s3Upload) run(content Content) error {
	answer, err := u.send("POST", u.path, url.Values{"uploads": {""}}, nil)
	if err != nil {
		return err
	}
	var begun struct {
		UploadID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal(answer.body, &begun); err != nil || begun.UploadID == "" {
		return fmt.Errorf("no upload was begun: %v: %s", err, answer.body)
	}
	parts := make([]s3Part, (content.Size+u.part-1)/u.part)
	failures := make(chan error, len(parts))
	free := make(chan struct{}, u.inFlight)
	body := content.reader()
	for index := range parts {
		size := u.part
		if left := content.Size - int64(index)*u.part; left < size {
			size = left
		}
		piece := make([]byte, size)
		if _, err := io.ReadFull(body, piece); err != nil {
			return err
		}
		free <- struct{}{}
		go func(index int) {
			query := url.Values{"partNumber": {strconv.Itoa(index + 1)}, "uploadId": {begun.UploadID}}
			answer, err := u.send("PUT", u.path, query, piece)
			parts[index] = s3Part{Number: index + 1, ETag: answer.etag}
			<-free
			failures <- err
		}(index)
	}
	for range parts {
		if err := <-failures; err != nil {
			return err
		}
	}
	list, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Parts   []s3Part
	}{Parts: parts})
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = u.send("POST", u.path, url.Values{"uploadId": {begun.UploadID}}, list)
	u.completing = time.Since(began)
	return err
}

// check asks how large the object is that came of it.
func (u *s3Upload) check(expected int64) error {
	answer, err := u.send("HEAD", u.path, nil, nil)
	if err == nil && answer.length != expected {
		err = fmt.Errorf("%s has %d bytes instead of %d", u.path, answer.length, expected)
	}
	return err
}

type s3Answer struct {
	body   []byte
	etag   string
	length int64
}

// send sends a signed request and expects 200.
func (u *s3Upload) send(method, path string, query url.Values, body []byte) (s3Answer, error) {
	target := u.client.target
	request, err := http.NewRequest(method, target.URL+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return s3Answer{}, err
	}
	signS3(request, target.User, target.password, time.Now())
	response, err := u.client.http.Do(request)
	if err != nil {
		return s3Answer{}, err
	}
	text, err := finish(response)
	if err == nil && response.StatusCode != http.StatusOK {
		err = &StatusError{method, path, response.StatusCode, string(text)}
	}
	return s3Answer{text, response.Header.Get("ETag"), response.ContentLength}, err
}

// signS3 signs host, time and the note that the payload is not part of the signature.
func signS3(request *http.Request, key, secret string, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	scope := stamp[:8] + "/" + s3Region + "/s3/aws4_request"
	request.Header.Set("X-Amz-Date", stamp)
	request.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{request.Method, request.URL.EscapedPath(), request.URL.RawQuery,
		"host:" + request.URL.Host, "x-amz-content-sha256:" + unsignedPayload, "x-amz-date:" + stamp, "",
		signed, unsignedPayload}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	mac := []byte("AWS4" + secret)
	for _, step := range append(strings.Split(scope, "/"), text) {
		mac = hmacSHA256(mac, step)
	}
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		key, scope, signed, mac))
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
