package pay88

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/pay88/pay88/go/internal/native"
)

// Request is a call of 88Pay's API.
type Request struct {
	// Such as "POST". It has to be set: a charge whose method was forgotten is not a call that reads.
	Method string
	// A path below the base URL, such as "/api/transactions/charges".
	Endpoint string
	// The headers of the credential and of the connection belong to the library; a call that has one of them is refused.
	Header http.Header
	// For the query.
	Params url.Values
	// The body, which may be any bytes. It is sent as application/json unless a header says otherwise.
	Body []byte
	// If not nil, it is encoded with encoding/json, and is the body. A json.RawMessage is sent as it is.
	JSON any
	// How long the call may take in all, if that is less than the deadline of its context allows. 0: the context's deadline,
	// otherwise the option Timeout of the manager.
	Timeout time.Duration
	// Says that sending the call twice does no harm, so that it is repeated after a fault. Never for a charge.
	SafeToRepeat bool
}

// The request as the library takes it, without a time limit. It must be released.
func (r *Request) native() (*native.Request, *Error) {
	body := r.Body
	if r.JSON != nil {
		if body != nil {
			return nil, invalid("Both JSON and Body are set.", "Set one of them.")
		}
		encoded, err := encode(r.JSON)
		if err != nil {
			return nil, err
		}
		body = encoded
	}
	request, failure := native.NewRequest(r.Method, r.Endpoint)
	if failure != nil {
		return nil, failed(failure)
	}
	if failure := r.fill(request, body); failure != nil {
		request.Release()
		return nil, failed(failure)
	}
	return request, nil
}

func (r *Request) fill(request *native.Request, body []byte) *native.Failure {
	for _, name := range sortedKeys(r.Header) {
		for _, content := range r.Header[name] {
			if failure := request.AddHeader(name, content); failure != nil {
				return failure
			}
		}
	}
	for _, name := range sortedKeys(r.Params) {
		for _, content := range r.Params[name] {
			if failure := request.AddParam(name, content); failure != nil {
				return failure
			}
		}
	}
	if body != nil {
		if failure := request.SetBody(body); failure != nil {
			return failure
		}
	}
	if r.SafeToRepeat {
		return request.SetSafeToRepeat()
	}
	return nil
}

func encode(content any) ([]byte, *Error) {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	// The body is no page: "&" stays what it is.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		failure := invalid(fmt.Sprintf("JSON cannot be encoded: a %T is no JSON.", content), "Pass what encoding/json takes.")
		failure.cause = err
		return nil, failure
	}
	return bytes.TrimSuffix(encoded.Bytes(), []byte("\n")), nil
}

// Response is an answer of any HTTP status.
type Response struct {
	// The HTTP status.
	StatusCode int
	// The headers.
	Header http.Header
	// The body, as it is.
	Body []byte

	err *Error
}

func newResponse(answer *native.Response) *Response {
	response := &Response{StatusCode: answer.Status, Header: make(http.Header, len(answer.Header)/2), Body: answer.Body}
	for index := 0; index+1 < len(answer.Header); index += 2 {
		response.Header.Add(answer.Header[index], answer.Header[index+1])
	}
	if answer.Failure != nil {
		response.err = failed(answer.Failure)
		response.err.Response = response
	}
	return response
}

// OK says whether the status is below 400.
func (r *Response) OK() bool { return r.StatusCode < http.StatusBadRequest }

// JSON decodes the body into what into points to. It fails with ErrBadResponse if the body is no such JSON.
func (r *Response) JSON(into any) error {
	if err := json.Unmarshal(r.Body, into); err != nil {
		return &Error{
			Code: ErrBadResponse, Outcome: Answered, HTTPStatus: r.StatusCode, cause: err, Response: r,
			Message: fmt.Sprintf("The body of the answer is not the JSON of a %T.", into),
			Hint:    "Look at the status, and at the body.",
		}
	}
	return nil
}

// Err is an error of the code ErrHTTP for a status of 400 or above, and otherwise nil.
func (r *Response) Err() error {
	switch {
	case r.OK():
		return nil
	case r.err != nil:
		return r.err
	default:
		return &Error{
			Code: ErrHTTP, Outcome: Answered, HTTPStatus: r.StatusCode, Response: r,
			Message: fmt.Sprintf("88Pay answered %d.", r.StatusCode), Hint: "Look at the body of the answer.",
		}
	}
}
