// Package portable writes snapshots in forms that outlive the database: JSON Lines, which
// can be read back, and Markdown, for people.
package portable
