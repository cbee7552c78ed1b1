package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// survey asks the client in as many rounds as it is told, in the way of the call's era, and
// holds that each answer is to its question: each has a text of its own, which the client
// repeats. It returns the text that it was called with, or what went wrong.
func (c *call) survey() (string, bool) {
	if c.modern {
		return c.surveyInRounds()
	}
	for round := range c.Count {
		answers := map[string]<-chan json.RawMessage{}
		for _, question := range c.questions(round) {
			answers[question] = c.server.ask(c.Method, c.posed(question))
		}
		for question, answer := range answers {
			select {
			case line := <-answer:
				if fault := faultOf(question, line); fault != "" {
					return fault, true
				}
			case <-c.cancelled:
				return "", false
			}
		}
	}
	return c.Text, true
}

// surveyInRounds is one round of a modern call: what was asked before is in its state.
func (c *call) surveyInRounds() (string, bool) {
	round := 0
	if c.state != "" {
		text, number, _ := strings.Cut(c.state, "\n")
		if _, err := fmt.Sscan(number, &round); err != nil || text != c.Text {
			return fmt.Sprintf("mixed up: the call %q has the state %q", c.Text, c.state), true
		}
		for _, question := range c.questions(round) {
			if fault := faultOf(question, c.responses[question]); fault != "" {
				return fault, true
			}
		}
		round++
	}
	if round >= c.Count {
		return c.Text, true
	}
	requests := map[string]any{}
	for _, question := range c.questions(round) {
		requests[question] = map[string]any{"method": c.Method, "params": json.RawMessage(c.posed(question))}
	}
	result, err := json.Marshal(map[string]any{
		"resultType": "input_required", "inputRequests": requests, "requestState": fmt.Sprintf("%s\n%d", c.Text, round),
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	c.server.result(c.id, string(result))
	return "", false
}

// questions are the texts of those of a round: one or two.
func (c *call) questions(round int) (texts []string) {
	for n := range 1 + round%2 {
		texts = append(texts, fmt.Sprintf("%s #%d.%d", c.Text, round, n))
	}
	return texts
}

// posed are the params of a question.
func (c *call) posed(question string) string {
	var params any
	switch c.Method {
	case "elicitation/create":
		params = map[string]any{"message": question, "requestedSchema": map[string]any{"type": "object", "properties": map[string]any{}}}
	case "sampling/createMessage":
		content := map[string]any{"type": "text", "text": question}
		params = map[string]any{"messages": []any{map[string]any{"role": "user", "content": content}}, "maxTokens": 1}
	default: // what has no place for it
		params = map[string]any{"_meta": map[string]any{"question": question}}
	}
	text, err := json.Marshal(params)
	if err != nil {
		panic(err) // as above
	}
	return string(text)
}

// faultOf says what is wrong with an answer; "" if it is one to the question.
func faultOf(question string, answer json.RawMessage) string {
	var refused struct{ Error *struct{ Message string } }
	if json.Unmarshal(answer, &refused) == nil && refused.Error != nil {
		return "refused: " + refused.Error.Message
	}
	if quoted, err := json.Marshal(question); err != nil || !bytes.Contains(answer, quoted) {
		return fmt.Sprintf("mixed up: %q was answered %s", question, answer)
	}
	return ""
}

// freeze keeps the server from reading anything for so many milliseconds.
func (c *call) freeze() (string, bool) {
	c.server.frozen.Lock()
	defer c.server.frozen.Unlock()
	time.Sleep(time.Duration(c.Count) * time.Millisecond)
	return c.Text, true
}
