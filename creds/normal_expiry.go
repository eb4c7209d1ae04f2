package creds

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// damage says what keeps a value from being one of a set: "" when nothing does.
// All three travel in headers, so they are printable ASCII without spaces.
func damage(value string) string {
	stars := strings.Trim(value, "*•●·xX.") == ""
	for _, r := range value {
		switch {
		case stars:
			return "is masked: use the page's copy button"
		case r == '…':
			return "is cut short"
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			return "holds a space"
		case r < 0x21 || r > 0x7e:
			return "holds a character that no key has"
		}
	}
	if strings.Contains(value, "...") {
		return "is cut short"
	}
	return ""
}

var (
	// 2025-02-18 16:17:54 +0000 UTC, 2025-05-14T11:23:14Z, 2021-01-27 00:50:09+00:00
	isoTime = regexp.MustCompile(`(?i)\b(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d(?::\d\d)?)(?:[.,]\d{1,9})?[ \t]*(Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d\b)?`)
	// Mon May 19 2025 12:00:00 GMT+0100 (British Summer Time), as browsers write it
	jsTime = regexp.MustCompile(`\b([A-Z][a-z]{2} \d{1,2} \d{4} \d\d:\d\d:\d\d) (?:GMT|UTC)([+-]\d{4})\b`)
	// Mon, 19 May 2025 12:00:00 GMT, as headers and toUTCString write it
	mailTime = regexp.MustCompile(`\b(\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d) (GMT|UTC|[+-]\d{4})\b`)
	epoch    = regexp.MustCompile(`^\d{10,13}(?:\.\d+)?$`)
)

// parseExpiry reads a point in time in any of the spellings that issuers use.
// Without a zone it is not known: the browser's may be any.
func parseExpiry(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if epoch.MatchString(text) {
		whole, _, _ := strings.Cut(text, ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		switch {
		case err != nil || n < firstEpoch:
			return time.Time{}, false
		case n >= epochInMilli:
			return time.UnixMilli(n).UTC(), true
		default:
			return time.Unix(n, 0).UTC(), true
		}
	}
	if m := isoTime.FindStringSubmatch(text); m != nil {
		if len(m[2]) == len("15:04") {
			m[2] += ":00"
		}
		return parseZoned("2006-01-02 15:04:05", m[1]+" "+m[2], m[3])
	}
	if m := jsTime.FindStringSubmatch(text); m != nil {
		return parseZoned("Jan 2 2006 15:04:05", m[1], m[2])
	}
	if m := mailTime.FindStringSubmatch(text); m != nil {
		return parseZoned("2 Jan 2006 15:04:05", m[1], m[2])
	}
	return time.Time{}, false
}

func parseZoned(layout, text, zone string) (time.Time, bool) {
	switch zone = strings.ToUpper(strings.ReplaceAll(zone, ":", "")); zone {
	case "":
		return time.Time{}, false
	case "Z", "UTC", "GMT":
		zone = "+0000"
	}
	t, err := time.Parse(layout+" -0700", text+" "+zone)
	return t.UTC(), err == nil
}
