package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// sigv4 signs each request as AWS asks (Signature Version 4). The service and the region are those in the host's name:
// identitystore.eu-central-1.amazonaws.com; a host without a region is signed for us-east-1.
type sigv4 struct {
	keys   aws.Credentials
	signer *v4.Signer
	now    func() time.Time
}

func (s *sigv4) sign(ctx context.Context, r *http.Request) (string, error) {
	labels := strings.Split(r.URL.Hostname(), ".")
	if len(labels) < 3 || !strings.HasSuffix(r.URL.Hostname(), ".amazonaws.com") && !strings.HasSuffix(r.URL.Hostname(), ".amazonaws.com.cn") {
		return "", final("%s is no host of AWS: want SERVICE.REGION.amazonaws.com", r.URL.Hostname())
	}
	region := "us-east-1"
	if labels[1] != "amazonaws" {
		region = labels[1]
	}
	h := sha256.New()
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(h, body); err != nil {
			return "", err
		}
	}
	if err := s.signer.SignHTTP(ctx, s.keys, r, hex.EncodeToString(h.Sum(nil)), labels[0], region, s.now()); err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return "", nil
}

func (s *sigv4) renew(string) {}
