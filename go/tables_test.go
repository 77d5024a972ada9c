package pay88

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/pay88/pay88/go/internal/native"
)

func TestOptionsAreThoseOfTheTable(t *testing.T) {
	build(t, Config{})
	var wanted, got []string
	for _, row := range native.Options() {
		wanted = append(wanted, row.Name)
		if row.Kind == "secret" {
			wanted = append(wanted, "secret")
		}
	}
	for _, option := range options {
		got = append(got, option.name)
		if option.secret {
			got = append(got, "secret")
		}
	}
	if !slices.Equal(wanted, got) {
		t.Errorf("the table has %q, Go %q", wanted, got)
	}
}

func TestEveryOptionHasAField(t *testing.T) {
	config := Config{}
	value := reflect.ValueOf(&config).Elem()
	for index := range value.NumField() {
		switch field := value.Field(index); field.Kind() {
		case reflect.String:
			field.SetString("x")
		case reflect.Int, reflect.Int64:
			field.SetInt(1_000_000_000)
		}
	}
	set, err := config.set()
	if err != nil || len(set) != 2*len(options) {
		t.Errorf("%q %v", set, err)
	}
}

func TestCodesAndOutcomesAreThoseOfTheTable(t *testing.T) {
	build(t, Config{})
	text, err := os.ReadFile("../tests/default_outcomes.json")
	if err != nil {
		t.Fatal(err)
	}
	var usual map[Code]Outcome
	if err := json.Unmarshal(text, &usual); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(usual, usualOutcomes) {
		t.Errorf("all languages have %v, Go %v", usual, usualOutcomes)
	}
	var codes []string
	for code := range usualOutcomes {
		codes = append(codes, string(code))
		if made := NewError(code, "Made."); made.Code != code || made.Outcome != usual[code] {
			t.Errorf("%+v", made)
		}
	}
	wanted := native.Codes()
	slices.Sort(codes)
	slices.Sort(wanted)
	if !slices.Equal(codes, wanted) {
		t.Errorf("the table has %q, Go %q", wanted, codes)
	}
	if outcomes := native.Outcomes(); !slices.Equal(outcomes, []string{string(NotSent), string(Unknown), string(Answered)}) {
		t.Errorf("%q", outcomes)
	}
}

func TestStatisticsAreThoseOfTheLibrary(t *testing.T) {
	stats, err := fresh(t).Stats()
	if err != nil {
		t.Fatal(err)
	}
	var told map[string]any
	encoded, err := json.Marshal(stats)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &told); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for index := range reflect.TypeFor[Stats]().NumField() {
		if name := reflect.TypeFor[Stats]().Field(index).Tag.Get("json"); name != "" {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	if !slices.Equal(fields, sortedKeys(told)) {
		t.Errorf("the library has %q, Go %q", sortedKeys(told), fields)
	}
}
