package message

// LooseID finds the id of what is meant as a response but was refused by [Parse], so that
// the call it was for need not wait for another. It reads no deeper than the envelope,
// takes the first member that is spelled id, and returns nil if there is none or if the
// line is meant as a request or notification.
func LooseID(line []byte) (id []byte) {
	id, method := loose(line)
	if method {
		return nil
	}
	return id
}

// LooseRequestID is the same for what is meant as a request: whoever made it need not wait
// for an answer.
func LooseRequestID(line []byte) (id []byte) {
	id, method := loose(line)
	if !method {
		return nil
	}
	return id
}

// loose finds the id, and says whether there is a method.
func loose(line []byte) (id []byte, method bool) {
	depth, member := 0, false // member: the next string at depth 1 is a name
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '{', '[':
			depth++
			member = depth == 1
		case '}', ']':
			depth--
		case ',':
			member = depth == 1
		case ':':
			member = false
		case '"':
			end := stringEnd(line, i)
			if depth == 1 && member {
				switch string(line[i:end]) {
				case `"method"`:
					method = true
				case `"id"`:
					if id == nil {
						id = looseValue(line, end)
					}
				}
			}
			i = end - 1
		}
	}
	return id, method
}

// stringEnd is where the string that opens at i has ended, or the end of the line.
func stringEnd(line []byte, i int) int {
	for i++; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(line)
}

// looseValue is the scalar behind the name that ended at i.
func looseValue(line []byte, i int) []byte {
	for i < len(line) && (line[i] == ' ' || line[i] == '\t' || line[i] == ':') {
		i++
	}
	if i < len(line) && line[i] == '"' {
		return line[i:stringEnd(line, i)]
	}
	end := i
	for end < len(line) && (line[end] >= '0' && line[end] <= '9' || line[end] == '-' || line[end] == '+' || line[end] == '.' || line[end]|0x20 == 'e') {
		end++
	}
	return line[i:end:end]
}
