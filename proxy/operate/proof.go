package operate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/berth-mcp/berth/proxy/relay"
)

// Where a proxy's paths have a secret, any process may have taken its port, so that an asker
// never sends the secret. Instead both prove that they know it:
//
//	GET /liveness?nonce=A             -> {program, nonce: P}         proof of "proxy"
//	GET /liveness?nonce=A  + "asker"  -> {program, version, clients} proof of "identity"
//
// A proof is an HMAC, keyed with the secret, over who gives it, the address at which they
// meet, both nonces and the body. One that was fetched from a proxy at another address or
// port, or from an earlier run, is of no use.
const (
	livenessPath = "/liveness"
	nonceParam   = "nonce"
	proofHeader  = "Berth-Proof"
)

// A role is who gives a proof, and for what. None can be passed off as another.
type role string

const (
	asProxy    role = "berth-proxy/1 proxy"
	asAsker    role = "berth-proxy/1 asker"
	asIdentity role = "berth-proxy/1 identity"
)

// An exchange is what the proofs between an asker and a proxy are about.
type exchange struct {
	secret  string
	address string // IP and port that the asker is connected to
	asker   string // nonce, chosen for this exchange
	proxy   string // nonce, chosen for this run of the proxy
}

func (e exchange) prove(as role, body []byte) string {
	mac := hmac.New(sha256.New, []byte(e.secret))
	// None of the first four has a line break in it.
	mac.Write([]byte(strings.Join([]string{string(as), e.address, e.asker, e.proxy, ""}, "\n")))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (e exchange) verify(as role, body []byte, proof string) bool {
	return hmac.Equal([]byte(e.prove(as, body)), []byte(proof))
}

// nonce is the form of [rand.Text].
var nonce = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// A challenge is the answer to an asker that has not proved anything yet.
type challenge struct {
	Program string `json:"program"` // [Program]
	Nonce   string `json:"nonce"`   // of the proxy
}

// prover returns the handler for askers that do not send the secret. It proves that this
// proxy knows it, and tells the identity to askers that prove the same.
func prover(r *relay.Relay, identity func() Identity) func(w http.ResponseWriter, r *http.Request) bool {
	own := rand.Text()
	return func(w http.ResponseWriter, request *http.Request) bool {
		local, known := request.Context().Value(http.LocalAddrContextKey).(net.Addr)
		given := request.URL.Query().Get(nonceParam)
		if request.Method != http.MethodGet || request.URL.Path != livenessPath || !nonce.MatchString(given) || !known {
			return false
		}
		e := exchange{secret: r.Secret(), address: local.String(), asker: given, proxy: own}
		as, answer := asProxy, any(challenge{Program: Program, Nonce: own})
		if proof := request.Header.Get(proofHeader); proof != "" {
			if !e.verify(asAsker, nil, proof) {
				return false
			}
			as, answer = asIdentity, identity()
		}
		body, err := json.Marshal(answer)
		if err != nil {
			return false
		}
		w.Header().Set(proofHeader, e.prove(as, body))
		head(w, "application/json", http.StatusOK)
		_, _ = w.Write(body) // whoever asked may have gone
		return true
	}
}
