// Pages that update by themselves: the dashboard, a stream, a run (graph only).
//
// The server's events at data-events: `event: state`, data one JSON object; every part may be absent:
//   shape  string                     other than data-shape: buttons or cards changed, the live part is loaded again
//   text   {key: string}              → [data-live="key"]         ready text in the reader's language
//   value  {key: 0–100}               → [data-live-value="key"]   progress bars
//   level  {key: ok|warn|bad}         → class of that progress bar
//   point  [unix seconds, bits/s]     → one more point of the graph (same second: ignored)
//   log    [string]                   → [data-live-lines="log"]
//
// Keys on the dashboard: "<stream id>/words", "box/disk|memory|cpu|uplink" (value, level), "box/…/words";
// on a stream: "words", "target/<index from 0>/words"; on both: "on-air-count".
