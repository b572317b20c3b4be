//go:build interop

package page_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browserTimeout is for everything that one test does: Chromium alone takes seconds to
// start on a busy machine.
const browserTimeout = 3 * time.Minute

// A tab is one in a Chromium of the test's own, with all that it complains of and asks for.
type tab struct {
	context.Context
	mu         sync.Mutex
	complaints []string
	requests   []string
}

func openTab(t *testing.T) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, // in a directory of its own, which goes with it
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(browserTimeout),
	)
	ctx, cancel := context.WithTimeout(context.Background(), browserTimeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{Context: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *cdplog.EventEntryAdded:
			b.complaints = append(b.complaints, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, e.ExceptionDetails.Error())
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, e.Request.URL)
		}
	})
	b.do(t, cdplog.Enable(), network.Enable())
	return b
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	require.NoError(t, chromedp.Run(b, actions...))
}

func (b *tab) evaluate(t *testing.T, expression string, result any) {
	t.Helper()
	b.do(t, chromedp.Evaluate(expression, result))
}

func TestInteropTheButtonIsPressedFromTheKeyboardInChromium(t *testing.T) {
	d, b := newDesk(t, ""), openTab(t)
	var title, text string
	b.do(t, chromedp.Navigate(d.URL()+"/"), chromedp.Title(&title), chromedp.WaitVisible(`button[data-copy="acme-url"]`))
	assert.Equal(t, "berth-proxy", title)
	assert.Zero(t, d.calls.Load(), "to open it asks no server")

	// Tab by tab to the button of acme, as somebody without a mouse does.
	var focused string
	for range 20 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
		b.evaluate(t, `document.activeElement.textContent.trim() + " " + (document.activeElement.form?.client?.value ?? "")`, &focused)
		if focused == "Check access acme" {
			break
		}
	}
	require.Equal(t, "Check access acme", focused)
	b.do(t, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`#acme .checked.ok`), chromedp.Text(`#acme .checked`, &text))
	assert.Contains(t, text, "You can use it.")
	b.do(t, chromedp.Click(`#globex form button`), chromedp.WaitVisible(`#globex .checked.failed`), chromedp.Text(`#globex .checked`, &text))
	assert.Contains(t, text, "ask globex-developers@example.com for access")

	b.do(t, chromedp.Click(`button[data-copy="acme-url"]`), chromedp.Poll(`document.getElementById("copied").textContent !== ""`, nil))
	var left string
	b.evaluate(t, `document.cookie + Object.keys(localStorage) + Object.keys(sessionStorage)`, &left)
	assert.Empty(t, left)
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Empty(t, b.complaints, "no policy is broken, nothing is missing")
	for _, asked := range b.requests {
		assert.True(t, strings.HasPrefix(asked, d.URL()+"/"), asked)
	}
}

func TestInteropEverythingHasANameForAScreenReader(t *testing.T) {
	d, b := newDesk(t, ""), openTab(t)
	d.press(t, "acme")
	b.do(t, chromedp.Navigate(d.URL()+"/"), chromedp.WaitVisible(`button[data-copy="acme-url"]`))
	b.evaluate(t, `document.querySelectorAll("details").forEach(d => d.open = true)`, nil)
	// Not in the library's own types, which do not know what newer browsers answer.
	var tree struct {
		Nodes []struct {
			Ignored bool `json:"ignored"`
			Role    struct {
				Value string `json:"value"`
			} `json:"role"`
			Name struct {
				Value string `json:"value"`
			} `json:"name"`
		} `json:"nodes"`
	}
	b.do(t, chromedp.ActionFunc(func(ctx context.Context) error {
		return chromedp.FromContext(ctx).Target.Execute(ctx, "Accessibility.getFullAXTree", nil, &tree)
	}))
	count := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		count[n.Role.Value]++
		switch n.Role.Value {
		case "button", "link", "heading", "region", "DisclosureTriangle":
			assert.NotEmpty(t, n.Name.Value, n.Role.Value)
		}
	}
	assert.Equal(t, 2, count["region"], "a section for each client")
	assert.GreaterOrEqual(t, count["heading"], 5)
	assert.Equal(t, 1, count["main"])
	assert.GreaterOrEqual(t, count["status"], 1)
	// Twins would be alike to who hears only the name.
	var twins []string
	b.evaluate(t, `(() => {
		const names = [...document.querySelectorAll("section")].flatMap(s => [...s.querySelectorAll("button[data-copy]")].map(b => s.id + b.ariaLabel));
		return names.filter((n, i) => names.indexOf(n) !== i);
	})()`, &twins)
	assert.Empty(t, twins)
}

// contrast is WCAG's ratio of a text and what is behind it.
const contrast = `(() => {
	const rgb = c => { const k = document.createElement("canvas").getContext("2d"); k.fillStyle = c; k.fillRect(0, 0, 1, 1); return k.getImageData(0, 0, 1, 1).data; };
	const light = c => { const [r, g, b] = [...rgb(c)].slice(0, 3).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c)[3] > 250) return c; } return "Canvas"; };
	const poor = [];
	for (const e of document.querySelectorAll("h1,h2,h3,p,a,code,pre,dt,dd,b,strong,summary,button,.note,.mark")) {
		if (!e.checkVisibility() || !e.textContent.trim()) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort();
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 4.5) poor.push(e.tagName + "." + e.className + " " + ratio.toFixed(2));
	}
	return poor;
})()`

func TestInteropThePageIsReadableInLightAndDarkWideAndNarrow(t *testing.T) {
	d, b := newDesk(t, ""), openTab(t)
	for _, client := range []string{"acme", "globex"} {
		d.press(t, client)
	}
	grounds := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1200, 360} {
			t.Run(fmt.Sprintf("%s, %d pixels", scheme, width), func(t *testing.T) {
				b.do(t,
					emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
					chromedp.EmulateViewport(width, 900),
					chromedp.Navigate(d.URL()+"/"), chromedp.WaitVisible(`#globex .checked`))
				b.evaluate(t, `document.querySelectorAll("#acme details").forEach((d, i) => d.open = i % 4 === 0)`, nil)
				var overflow int
				b.evaluate(t, `document.documentElement.scrollWidth - innerWidth`, &overflow)
				assert.LessOrEqual(t, overflow, 0, "nothing to scroll sideways to")
				var poor []string
				b.evaluate(t, contrast, &poor)
				assert.Empty(t, poor, "WCAG AA wants 4.5")
				var ground string
				b.evaluate(t, `getComputedStyle(document.body).backgroundColor`, &ground)
				grounds[ground] = true
				if dir := os.Getenv("BERTH_SCREENSHOTS"); dir != "" {
					var png []byte
					b.do(t, chromedp.FullScreenshot(&png, 100))
					require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.png", scheme, width)), png, 0o644))
				}
			})
		}
	}
	assert.Len(t, grounds, 2, "light and dark differ")
}

func TestInteropAnotherSiteCannotPressTheButtonOrFrameThePage(t *testing.T) {
	d := newDesk(t, "")
	_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	stolen := proof.FindStringSubmatch(body)[1] // even then
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method="post" action="%[1]s/berth-proxy.check" target="result"><input name="client" value="acme"><input name="proof" value="%[2]s"></form>
<iframe name="result"></iframe><iframe id="framed" src="%[1]s/"></iframe>
<script>
document.forms[0].submit();
const body = new URLSearchParams({client: "acme", proof: "%[2]s"});
const all = ["cors", "no-cors"].map(mode => fetch("%[1]s/berth-proxy.check", {method: "POST", body, mode, credentials: "include"}).then(r => r.type, () => "refused"))
	.concat(fetch("%[1]s/").then(r => r.text(), () => "refused"), fetch("%[1]s/", {mode: "no-cors"}).then(r => r.text(), () => "refused"));
Promise.all(all).then(said => { document.title = said.join("|"); });
</script>`, d.URL(), stolen)
	}))
	t.Cleanup(evil.Close)
	_, port, err := net.SplitHostPort(evil.Listener.Addr().String())
	require.NoError(t, err)
	for _, origin := range []string{evil.URL, "http://localhost:" + port} { // of another site, and of the same site
		b := openTab(t)
		var said, framed string
		b.do(t, chromedp.Navigate(origin), chromedp.Poll(`document.title.includes("|")`, nil), chromedp.Title(&said),
			chromedp.Evaluate(`(() => { try { return document.getElementById("framed").contentDocument?.body?.textContent ?? "" } catch { return "" } })()`, &framed))
		for _, answer := range strings.Split(said, "|") {
			assert.Contains(t, []string{"refused", "opaque", ""}, answer, said)
		}
		assert.NotContains(t, framed, "acme")
		b.do(t, chromedp.ActionFunc(func(ctx context.Context) error { // the form was answered
			return chromedp.Poll(`performance.getEntriesByType("resource").length >= 2`, nil).Do(ctx)
		}))
		assert.Zero(t, d.visits.Load(), origin)
	}
}

// A script that a client's server sends does not run as one of the page.
func TestInteropAServersPageIsNotShownInTheBrowser(t *testing.T) {
	d, b := newDesk(t, ""), openTab(t)
	var text string
	b.do(t, chromedp.Navigate(d.URL()+"/acme/page"), chromedp.Text("body", &text))
	assert.Contains(t, text, "for an editor and not for a browser")
	assert.Zero(t, d.calls.Load())
}
