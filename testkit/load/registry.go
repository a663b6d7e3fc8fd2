// What a registry client does: push a blob in its several ways, push a manifest, pull both.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

// The ways to push a blob.
const (
	wayPut    = "put"    // POST, then PUT with the whole body
	wayPatch  = "patch"  // POST, PATCH with the whole body, PUT: what docker does
	wayPost   = "post"   // POST with digest and body
	wayChunks = "chunks" // POST, several PATCHes with Content-Range, PUT
)

func (c *Client) startUpload(repository string) (string, error) {
	response, _, err := c.send(call{method: "POST", path: "/v2/" + repository + "/blobs/uploads/",
		repository: repository, body: http.NoBody}, http.StatusAccepted)
	if err != nil {
		return "", err
	}
	return c.location(response)
}

func (c *Client) location(response *http.Response) (string, error) {
	text := response.Header.Get("Location")
	if text == "" {
		return "", fmt.Errorf("no Location in the answer to %s %s", response.Request.Method, response.Request.URL.Path)
	}
	location, err := c.target.base.Parse(text)
	if err != nil {
		return "", err
	}
	return location.String(), nil
}

func withDigest(location, digest string) (string, error) {
	parsed, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	query := parsed.Query()
	query.Set("digest", digest)
	parsed.RawQuery = query.Encode()
	return parsed.String(), nil
}

func (c *Client) pushBlob(repository string, blob Blob, way string) error {
	if way == wayPost {
		response, _, err := c.send(call{method: "POST", path: "/v2/" + repository + "/blobs/uploads/?digest=" + blob.Digest,
			repository: repository, body: blob.reader(), length: blob.Size, contentType: "application/octet-stream"},
			http.StatusCreated, http.StatusAccepted)
		if err != nil || response.StatusCode == http.StatusCreated {
			return err
		}
		// A registry may not know this way, and begins an upload instead.
		location, err := c.location(response)
		if err != nil {
			return err
		}
		return c.finishUpload(repository, location, blob.Digest, blob.reader(), blob.Size)
	}
	location, err := c.startUpload(repository)
	if err != nil {
		return err
	}
	if way == wayPut {
		return c.finishUpload(repository, location, blob.Digest, blob.reader(), blob.Size)
	}
	step := blob.Size
	if way == wayChunks {
		step = blob.Size/3 + 1
	}
	body := blob.reader()
	for offset := int64(0); offset < blob.Size; offset += step {
		length := step
		if length > blob.Size-offset {
			length = blob.Size - offset
		}
		patch := call{method: "PATCH", path: location, repository: repository, body: io.LimitReader(body, length),
			length: length, contentType: "application/octet-stream"}
		if way == wayChunks {
			patch.contentRange = fmt.Sprintf("%d-%d", offset, offset+length-1)
		}
		response, _, err := c.send(patch, http.StatusAccepted)
		if err != nil {
			return err
		}
		if location, err = c.location(response); err != nil {
			return err
		}
	}
	return c.finishUpload(repository, location, blob.Digest, http.NoBody, 0)
}

func (c *Client) finishUpload(repository, location, digest string, body io.Reader, length int64) error {
	location, err := withDigest(location, digest)
	if err != nil {
		return err
	}
	_, _, err = c.send(call{method: "PUT", path: location, repository: repository, body: body, length: length,
		contentType: "application/octet-stream"}, http.StatusCreated)
	return err
}

// mountBlob reports whether the server mounted the blob; it may also have begun an upload instead.
func (c *Client) mountBlob(repository, from, digest string) (bool, error) {
	response, _, err := c.send(call{method: "POST", repository: repository + "," + from, body: http.NoBody,
		path: "/v2/" + repository + "/blobs/uploads/?mount=" + digest + "&from=" + url.QueryEscape(from)},
		http.StatusCreated, http.StatusAccepted)
	if err != nil {
		return false, err
	}
	return response.StatusCode == http.StatusCreated, nil
}

func (c *Client) headBlob(repository, digest string) (bool, error) {
	response, _, err := c.send(call{method: "HEAD", path: "/v2/" + repository + "/blobs/" + digest,
		repository: repository}, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return false, err
	}
	return response.StatusCode == http.StatusOK, nil
}

// pullBlob checks the digest of what it gets.
func (c *Client) pullBlob(repository, digest string, buffer []byte) (int64, error) {
	body, err := c.openBlob(repository, digest)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	return checkDigest(body, digest, buffer)
}

func (c *Client) openBlob(repository, digest string) (io.ReadCloser, error) {
	response, err := c.open(call{method: "GET", path: "/v2/" + repository + "/blobs/" + digest, repository: repository})
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return nil, &StatusError{"GET", response.Request.URL.Path, response.StatusCode, string(body)}
	}
	return response.Body, nil
}

func (c *Client) pushManifest(repository, reference string, manifest Blob) error {
	_, _, err := c.send(call{method: "PUT", path: "/v2/" + repository + "/manifests/" + reference,
		repository: repository, body: bytes.NewReader(manifest.bytes), length: manifest.Size,
		contentType: manifestType}, http.StatusCreated)
	return err
}

func (c *Client) pullManifest(repository, reference string) (Blob, error) {
	_, body, err := c.send(call{method: "GET", path: "/v2/" + repository + "/manifests/" + reference,
		repository: repository, accept: manifestType}, http.StatusOK)
	if err != nil {
		return Blob{}, err
	}
	return smallBlob(body), nil
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

type imageManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Image is a config, layers and the manifest over them; the config is the first blob.
type Image struct {
	Blobs    []Blob
	Manifest Blob
}

func newImage(config Blob, layers []Blob, annotations map[string]string) Image {
	return imageOf(config, layers, nil, annotations)
}

// newReferrer is an image that refers to another one's manifest.
func newReferrer(config, layer, subject Blob, number string) Image {
	to := descriptor{manifestType, subject.Digest, subject.Size}
	return imageOf(config, []Blob{layer}, &to, map[string]string{"number": number})
}

func imageOf(config Blob, layers []Blob, subject *descriptor, annotations map[string]string) Image {
	manifest := imageManifest{SchemaVersion: 2, MediaType: manifestType,
		Config: descriptor{configType, config.Digest, config.Size}, Layers: []descriptor{}, Subject: subject,
		Annotations: annotations}
	for _, layer := range layers {
		manifest.Layers = append(manifest.Layers, descriptor{layerType, layer.Digest, layer.Size})
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		panic(err)
	}
	return Image{append([]Blob{config}, layers...), smallBlob(text)}
}

// randomConfig is a valid image config of about the given size.
func randomConfig(seed uint64, size int) Blob {
	filler := make([]byte, size/2)
	fillRandom(filler, seed)
	text, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}},
		"config": map[string]any{"Labels": map[string]string{"filler": fmt.Sprintf("%x", filler)}}})
	if err != nil {
		panic(err)
	}
	return smallBlob(text)
}
