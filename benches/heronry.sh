# Heronry as a peer of the comparison rig: `benches/compare` copies the rig, puts this file among
# its peers and says where the daemon is (HERONRY).
BASE=246
peer_info() {
  echo SMTP=127.0.0.1:${BASE}25
  echo LMTP=127.0.0.1:${BASE}24
  echo IMAP=127.0.0.1:${BASE}43
  echo POP3=127.0.0.1:${BASE}10
  echo IMAPS=127.0.0.1:${BASE}93
  echo USERS=u%u@bench.test
  echo PASS=pw
  echo RCPT=u%u@bench.test
  echo RRCPT=x%u@d%d.test
  echo SINK=127.0.1.1:$SINKPORT+$NDOM
  echo WAIT=imap:127.0.0.1:${BASE}43:u%u@bench.test:pw
}
peer_version() { "$HERONRY" --version; }
peer_setup() {
  mkdir -p -m 700 "$PEER_DIR/data"
  # Everything is as shipped, but for limits that thousands of clients of one machine would meet.
  {
    cat <<C
hostname = "mx.bench.test"
data = "$PEER_DIR/data"
domains = ["bench.test"]
trusted = ["127.0.0.0/8"]
login_without_tls = ["127.0.0.0/8"]
[[listener]]
protocol = "smtp"
address = "127.0.0.1:${BASE}25"
[[listener]]
protocol = "lmtp"
address = "127.0.0.1:${BASE}24"
[[listener]]
protocol = "imap"
address = "127.0.0.1:${BASE}43"
[[listener]]
protocol = "imaps"
address = "127.0.0.1:${BASE}93"
[[listener]]
protocol = "pop3"
address = "127.0.0.1:${BASE}10"
C
    domains | while read -r _ name address; do
      printf '[[route]]\ndomain = "%s"\nto = "%s:%s"\n' "$name" "$address" "$SINKPORT"
    done
    cat <<C
[limits.connections]
connections_max = 20000
connections_per_network_max = 20000
[tls]
certificate = "$WORK/cert.pem"
key = "$WORK/key.pem"
[log]
filter = "warn"
C
  } > "$PEER_DIR/heronry.toml"
}
peer_start() {
  ulimit -n "$(ulimit -Hn)"
  setsid "$HERONRY" serve --config "$PEER_DIR/heronry.toml" >> "$PEER_DIR/start.log" 2>&1 < /dev/null &
  echo $! > "$PEER_DIR/pid"
  wait_port ${BASE}25
  # The port answers before the house is up: connections wait for it in the kernel.
  local i; for ((i = 0; i < 400; i++)); do
    "$HERONRY" tree --data "$PEER_DIR/data" > /dev/null 2>&1 && break; sleep 0.05
  done
  [ -e "$PEER_DIR/users" ] || peer_users 20
}
peer_stop() {
  local p; p=$(cat "$PEER_DIR/pid" 2>/dev/null) || return 0
  kill "$p" 2>/dev/null; wait_gone "$p" 20
}
peer_queue() { "$HERONRY" queue --data "$PEER_DIR/data" --json list 2>/dev/null | grep -o '"id":' | wc -l; }
# The hash of "pw", as cheap as argon2id can be: the other peers check passwords without a hash.
peer_users() {
  local have; have=$(cat "$PEER_DIR/users" 2>/dev/null || echo 0)
  [ "$1" -gt "$have" ] || return 0
  {
    echo address,hash
    seq "$have" $(($1 - 1)) | sed 's/.*/u&@bench.test,"$argon2id$v=19$m=8,t=1,p=1$aGVyb25yeXNhbHQ$ba1OU24m\/eXrJT02UqgZw+TqyUpm\/eIejbfkWQKx15Q"/'
  } | "$HERONRY" account --data "$PEER_DIR/data" import - > /dev/null || die "import"
  echo "$1" > "$PEER_DIR/users"
}
