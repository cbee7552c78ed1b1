package store

// MaxRanked is how many snapshots a search ranks at most. A query that more of them
// match finds the newest of them, and first those that match in name and summary. In a
// database server it may be fewer, down to a hundred, of queries that take long there.
// Ranking all would take time in proportion to the matches; [Store.Page] with a text
// reaches them all.
//
// Words that are in very many snapshots, beside rarer ones, decide what matches and no
// longer what is best: counting how many have them takes longer than all the rest. And one
// or two characters of a script without spaces find the newest alone, and rank by how
// often they stand there.
const MaxRanked = 700

// Match is a snapshot that a search found.
type Match struct {
	Entry
	Snippet Snippet
}

// Matches is a part of the results of a search, the best first: those in which the
// terms are frequent, are rare elsewhere, and stand in the name rather than in the
// summary, and there rather than in context and next steps (BM25, by column).
// Equals are in the order newest first.
type Matches struct {
	Matches []Match
	Next    string // the cursor of the next page; "" if this is the last
}
