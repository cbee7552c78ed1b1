package devauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

const maxPage = 1 << 20

// Login walks the login page as a browser would: it opens the authorization URL,
// logs in as user, ticks those of the offered scopes that are in scopes (nil: as
// the page has them, which is all), allows, and follows until the answer would go
// to the client. It returns that redirect, which holds code, state and iss, or
// error where the server sent the client an error. A page that goes no further is
// an error that says what the page said.
//
// client may be nil. Its transport and timeout are used, its cookies are not.
func Login(ctx context.Context, client *http.Client, authorizationURL, user string, scopes []string) (redirect *url.URL, err error) {
	return walk(ctx, client, authorizationURL, func(form *loginForm) url.Values {
		values := form.hidden()
		values.Set("user", user)
		values.Set("decision", "allow")
		for _, offered := range form.inputs {
			if offered.name != "scope" {
				continue
			}
			if scopes == nil && offered.checked || slices.Contains(scopes, offered.value) {
				values.Add("scope", offered.value)
			}
		}
		return values
	})
}

// Cancel is [Login] by a person who refuses: the redirect holds
// error=access_denied.
func Cancel(ctx context.Context, client *http.Client, authorizationURL string) (redirect *url.URL, err error) {
	return walk(ctx, client, authorizationURL, func(form *loginForm) url.Values {
		values := form.hidden()
		values.Set("decision", "cancel")
		return values
	})
}

func walk(ctx context.Context, client *http.Client, authorizationURL string, fill func(*loginForm) url.Values) (*url.URL, error) {
	authorization, err := url.Parse(authorizationURL)
	if err != nil {
		return nil, fmt.Errorf("devauth: authorization URL: %w", err)
	}
	target, err := url.Parse(authorization.Query().Get("redirect_uri"))
	if err != nil {
		return nil, fmt.Errorf("devauth: redirect_uri: %w", err)
	}
	browser, err := headless(client, target)
	if err != nil {
		return nil, err
	}
	page, err := browse(ctx, browser, http.MethodGet, authorization, nil)
	if err != nil || page.redirect != nil {
		return page.redirect, err
	}
	form, err := findForm(page.url, page.document)
	if err != nil {
		return nil, fmt.Errorf("devauth: login page, status %d: %w: %s", page.status, err, words(page.document))
	}
	values := fill(form)
	page, err = browse(ctx, browser, form.method, form.action, values)
	if err != nil || page.redirect != nil {
		return page.redirect, err
	}
	return nil, fmt.Errorf("devauth: the login page answered %d: %s", page.status, words(page.document))
}

// headless has cookies of its own and stops at the client's redirection URI.
func headless(client *http.Client, target *url.URL) (*http.Client, error) {
	browser := &http.Client{}
	if client != nil {
		copied := *client
		browser = &copied
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	browser.Jar = jar
	browser.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if next.URL.Scheme == target.Scheme && next.URL.Host == target.Host && next.URL.Path == target.Path && next.URL.Opaque == target.Opaque {
			return http.ErrUseLastResponse
		}
		if len(via) > 10 {
			return errors.New("more than ten redirects")
		}
		return nil
	}
	return browser, nil
}

// visited is where the browser came to: a page, or the way back to the client.
type visited struct {
	url      *url.URL
	status   int
	document *html.Node
	redirect *url.URL
}

func browse(ctx context.Context, browser *http.Client, method string, target *url.URL, form url.Values) (visited, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return visited{}, fmt.Errorf("devauth: %w", err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", target.Scheme+"://"+target.Host)
	}
	response, err := browser.Do(request)
	if err != nil {
		return visited{}, fmt.Errorf("devauth: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		redirect, err := response.Location()
		if err != nil {
			return visited{}, fmt.Errorf("devauth: status %d: %w", response.StatusCode, err)
		}
		return visited{redirect: redirect}, nil
	}
	document, err := html.Parse(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return visited{}, fmt.Errorf("devauth: page: %w", err)
	}
	return visited{url: response.Request.URL, status: response.StatusCode, document: document}, nil
}

type formInput struct {
	kind, name, value string
	checked           bool
}

// loginForm is the only form of a page.
type loginForm struct {
	method string
	action *url.URL
	inputs []formInput
}

func (f *loginForm) hidden() url.Values {
	values := url.Values{}
	for _, input := range f.inputs {
		if input.kind == "hidden" {
			values.Add(input.name, input.value)
		}
	}
	return values
}

func findForm(page *url.URL, document *html.Node) (*loginForm, error) {
	for node := range document.Descendants() {
		if node.Type != html.ElementNode || node.Data != "form" {
			continue
		}
		action, err := page.Parse(attribute(node, "action"))
		if err != nil {
			return nil, fmt.Errorf("form action: %w", err)
		}
		form := &loginForm{method: strings.ToUpper(attribute(node, "method")), action: action}
		for field := range node.Descendants() {
			if field.Type == html.ElementNode && field.Data == "input" {
				form.inputs = append(form.inputs, formInput{
					kind:    attribute(field, "type"),
					name:    attribute(field, "name"),
					value:   attribute(field, "value"),
					checked: slices.ContainsFunc(field.Attr, func(a html.Attribute) bool { return a.Key == "checked" }),
				})
			}
		}
		return form, nil
	}
	return nil, errors.New("there is no form")
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words is what a person reads on the page.
func words(document *html.Node) string {
	var text []string
	for node := range document.Descendants() {
		if node.Type == html.TextNode && node.Parent != nil && node.Parent.Data != "style" && node.Parent.Data != "title" {
			text = append(text, strings.Fields(node.Data)...)
		}
	}
	return strings.Join(text, " ")
}
