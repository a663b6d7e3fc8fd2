// The command objects: puts many small objects into an S3 bucket, as rows that SQL makes name them.

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// bucket is an S3 bucket by path, and the key to it; the secret comes from LOAD_SECRET.
type bucket struct {
	endpoint, name, region, key, secret string
	http                                *http.Client
}

func runObjects(args []string) error {
	set := newFlags("objects")
	endpoint := set.String("endpoint", "", "http://HOST:PORT of the S3 server")
	name := set.String("bucket", "", "the bucket")
	region := set.String("region", "us-east-1", "what requests are signed for")
	key := set.String("key", "", "access key; its secret comes from LOAD_SECRET")
	prefix := set.String("prefix", "", "stands before the 40 digits of an object's number")
	from := set.Int("from", 0, "number of the first object")
	count := set.Int("count", 1, "objects")
	size := set.Int("size", 1024, "bytes of each")
	connections := set.Int("connections", 32, "requests at once")
	if err := set.Parse(args); err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: *connections, MaxConnsPerHost: *connections}
	into := bucket{*endpoint, *name, *region, *key, os.Getenv("LOAD_SECRET"),
		&http.Client{Transport: transport, Timeout: time.Minute}}
	body := make([]byte, *size)
	fillRandom(body, newSeed())
	meter := startMeter("")
	parallel(*connections, func(index int) {
		for number := index; number < *count; number += *connections {
			began := time.Now()
			if err := into.put(fmt.Sprintf("%s%040d", *prefix, *from+number), body); err != nil {
				meter.fail(err)
				continue
			}
			meter.done(began, int64(len(body)))
		}
	})
	return meter.report()
}

func (b bucket) put(key string, body []byte) error {
	request, err := http.NewRequest(http.MethodPut, b.endpoint+"/"+b.name+"/"+key, bytes.NewReader(body))
	if err != nil {
		return err
	}
	b.sign(request, time.Now().UTC())
	response, err := b.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return &StatusError{http.MethodPut, key, response.StatusCode, string(text)}
	}
	return nil
}

// sign adds AWS's signature, version 4, of a request without a query, its body left out of it.
func (b bucket) sign(request *http.Request, now time.Time) {
	const unsigned = "UNSIGNED-PAYLOAD"
	at, day := now.Format("20060102T150405Z"), now.Format("20060102")
	request.Header.Set("X-Amz-Date", at)
	request.Header.Set("X-Amz-Content-Sha256", unsigned)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := request.Method + "\n" + request.URL.EscapedPath() + "\n\nhost:" + request.URL.Host +
		"\nx-amz-content-sha256:" + unsigned + "\nx-amz-date:" + at + "\n\n" + signed + "\n" + unsigned
	scope := day + "/" + b.region + "/s3/aws4_request"
	sum := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + at + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + b.secret)
	for _, part := range []string{day, b.region, "s3", "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+b.key+"/"+scope+
		", SignedHeaders="+signed+", Signature="+hex.EncodeToString(key))
}
