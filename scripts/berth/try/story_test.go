package try

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
)

// onTerminal is a story that believes that its reader has a terminal.
func onTerminal(colour bool) (*story, *bytes.Buffer) {
	var out bytes.Buffer
	return &story{out: plaintext.NewWriter(&out), started: time.Now(), terminal: true, colour: colour, width: 40}, &out
}

func TestInAPipeAStepIsOneLineWithWhatWasSeen(t *testing.T) {
	var out bytes.Buffer
	s := newStory(&out)
	done := s.begin("It rains")
	s.Note("still")
	done(nil, "wet")
	assert.Regexp(t, `^ok  It rains +[0-9.]+ s\n      wet\n$`, out.String())
}

func TestOnATerminalTheRunningStepShowsWhatItIsAtAndStaysInItsLine(t *testing.T) {
	s, out := onTerminal(true)
	done := s.begin("It rains")
	s.Note(strings.Repeat("cats and dogs ", 10))
	for _, line := range strings.Split(out.String(), "\r") {
		assert.LessOrEqual(t, len(strings.TrimPrefix(line, "\x1b[2K")), 40)
	}
	done(errors.New("dry"))
	assert.Contains(t, out.String(), "\x1b[31mno\x1b[0m  It rains")
}

func TestNoColorIsRespected(t *testing.T) {
	s, out := onTerminal(false)
	s.begin("It rains")(nil)
	assert.Contains(t, out.String(), "ok  It rains")
	assert.NotContains(t, out.String(), "\x1b[3")
}

func TestABuildTellsHowFarItIs(t *testing.T) {
	var pipe bytes.Buffer
	s := newStory(&pipe)
	for done := 1; done <= 100; done++ {
		s.Compiled(done, 100)
	}
	assert.Equal(t, 10, strings.Count(pipe.String(), "\n"), "a line every tenth of the way")
	assert.Contains(t, pipe.String(), "100 of 100")

	terminal, out := onTerminal(false)
	terminal.Compiled(99, 100)
	assert.NotContains(t, out.String(), "\n", "on a terminal the line is written over")
	terminal.Compiled(100, 100)
	assert.Contains(t, out.String(), "linking\n")
}

func TestLongDetailsAreBrokenAtSpaces(t *testing.T) {
	long := strings.Repeat("x", 90)
	assert.Equal(t, []string{"one two", "  three", "  " + long}, wrap("one two three "+long, 10))
}

func TestAStepThatDoesNotHoldEndsTheStoryWithAnError(t *testing.T) {
	var out bytes.Buffer
	reached := false
	err := perform(t.Context(), newStory(&out), nil, []step{
		{"First", func(*world, context.Context) ([]string, error) { return nil, errors.New("it did not") }},
		{"Second", func(*world, context.Context) ([]string, error) { reached = true; return nil, nil }},
	})
	require.EqualError(t, err, "First: it did not")
	assert.False(t, reached)
	assert.Contains(t, out.String(), "no  First")
}

func TestAnInterruptedStepIsNotBlamedOnTheStep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := perform(ctx, newStory(&bytes.Buffer{}), nil, []step{
		{"First", func(*world, context.Context) ([]string, error) { cancel(); return nil, errors.New("signal: killed") }},
	})
	require.ErrorContains(t, err, "interrupted")
}

// The engine, the server and the proxy get to say things, and the colours are our own.
func TestWhatOthersSayIsToldInPlainText(t *testing.T) {
	for _, attack := range plaintexttest.Hostile {
		t.Run(attack.Name, func(t *testing.T) {
			var out bytes.Buffer
			s := newStory(&out)
			s.Note(attack.Text)
			s.say("%s", attack.Text)
			s.begin("It rains")(nil, attack.Text)
			plaintexttest.AssertPlain(t, out.String())

			onScreen, screen := onTerminal(true)
			done := onScreen.begin("It rains")
			onScreen.Note(attack.Text + " größer größer größer größer größer")
			done(errors.New("dry"), attack.Text)
			own := strings.NewReplacer("\r\x1b[2K", "", "\x1b[31m", "", "\x1b[0m", "")
			plaintexttest.AssertPlain(t, own.Replace(screen.String()))
			assert.Contains(t, screen.String(), "\x1b[31mno\x1b[0m")
		})
	}
}
