package commands

import (
	"encoding/json"
	"fmt"
)

// answer prints what was done, as JSON if that was asked for.
func (c *call) answer(value any, format string, args ...any) error {
	if !c.json {
		_, err := fmt.Fprintf(c.Out, format+"\n", args...)
		return err
	}
	encoder := json.NewEncoder(c.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
