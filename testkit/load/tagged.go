// The commands tagged and referrers: real images at chosen places among rows that SQL made.

package main

import (
	"fmt"
	"strconv"
)

func runTagged(args []string) error {
	var target Target
	set := newFlags("tagged")
	repository := set.String("repository", "", "where to push")
	from := set.Int("from", 0, "number of the first tag")
	count := set.Int("count", 1, "images")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	client := target.client(8)
	config, layer, err := client.pushTwo(*repository)
	if err != nil {
		return err
	}
	meter := startMeter(target.PIDs)
	parallel(8, func(index int) {
		for number := index; number < *count; number += 8 {
			image := newImage(config, []Blob{layer}, map[string]string{"number": strconv.Itoa(*from + number)})
			if err := client.pushManifest(*repository, fmt.Sprintf("t%06d", *from+number), image.Manifest); err != nil {
				meter.fail(err)
			}
		}
	})
	return meter.report()
}

func runReferrers(args []string) error {
	var target Target
	set := newFlags("referrers")
	repository := set.String("repository", "", "where to push")
	count := set.Int("count", 1000, "referrers of the one subject")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	client := target.client(8)
	config, layer, err := client.pushTwo(*repository)
	if err != nil {
		return err
	}
	subject := newImage(config, []Blob{layer}, nil).Manifest
	if err := client.pushManifest(*repository, subject.Digest, subject); err != nil {
		return err
	}
	meter := startMeter(target.PIDs)
	parallel(8, func(index int) {
		for number := index; number < *count; number += 8 {
			image := newReferrer(config, layer, subject, strconv.Itoa(number))
			if err := client.pushManifest(*repository, image.Manifest.Digest, image.Manifest); err != nil {
				meter.fail(err)
			}
		}
	})
	fmt.Println("subject", subject.Digest)
	return meter.report()
}

// pushTwo pushes a config and a layer.
func (c *Client) pushTwo(repository string) (Blob, Blob, error) {
	config, layer := randomConfig(newSeed(), 1024), randomBlob(newSeed(), 4096)
	for _, blob := range []Blob{config, layer} {
		if err := c.pushBlob(repository, blob, wayPut); err != nil {
			return config, layer, err
		}
	}
	return config, layer, nil
}
