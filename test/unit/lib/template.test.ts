import { array, assert, constantFrom, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderTemplate, TemplateError, type TemplateValue } from '../../../src/lib/template.ts';
import { templateFunctions } from '../../../src/lib/template-functions.ts';

function render(source: string, data: TemplateValue = null): string {
  return renderTemplate(source, { functions: templateFunctions, data });
}

function outcome(source: string): 'text' | 'fault' | 'crash' {
  try {
    render(source);
    return 'text';
  } catch (error) {
    return error instanceof TemplateError ? 'fault' : 'crash';
  }
}

describe('language', () => {
  test.each([
    ['plain { text } }} {', 'plain { text } }} {'],
    ['{{/* nothing */}}a', 'a'],
    ['a {{- /* nothing */ -}} b', 'ab'],
    ['a {{- "b" }} c', 'ab c'],
    ['a {{ "b" -}}\n c', 'a bc'],
    ['{{ `raw "text" \\n` }}', 'raw "text" \\n'],
    ['{{ "a\\tb\\"" }}', 'a\tb"'],
    ['{{ 5 }}{{ -3 }}{{ true }}{{ nil }}', '5-3true'],
    ['{{ "a" | upper | quote }}', '"A"'],
    ['{{ upper (lower "A" | title) }}', 'A'],
    ['{{ $x := "a" }}{{ $x }}{{ $x = "b" }}{{ $x }}', 'ab'],
    ['{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}', '21'],
    ['{{ if "" }}a{{ else if 0 }}b{{ else if list }}c{{ else }}d{{ end }}', 'd'],
    ['{{ if not false }}a{{ end }}', 'a'],
    ['{{ if $x := "v" }}{{ $x }}{{ end }}', 'v'],
    ['{{ with "a" }}{{ . }}{{ else }}b{{ end }}', 'a'],
    ['{{ with "" }}{{ . }}{{ else }}b{{ end }}', 'b'],
    ['{{ range list "a" "b" }}{{ . }},{{ end }}', 'a,b,'],
    ['{{ range $k, $v := dict "b" 2 "a" 1 }}{{ $k }}{{ $v }}{{ end }}', 'a1b2'],
    ['{{ range list }}a{{ else }}none{{ end }}', 'none'],
    ['{{ range 3 }}{{ . }}{{ end }}', '012'],
    [
      '{{ range list 1 2 3 4 }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ if eq . 4 }}{{ break }}{{ end }}{{ . }}{{ end }}',
      '13',
    ],
    ['{{ (dict "a" (dict "b" "c")).a.b }}', 'c'],
    ['{{ $d := dict "a" 1 }}{{ $d.a }}{{ $d.none }}', '1'],
    ['{{ .user }} {{ $.user }}', 'john john'],
    ['{{ range list 1 }}{{ $.user }}{{ end }}', 'john'],
    ['{{ and true "" (index list 5) }}', ''],
    ['{{ or "" "b" (index list 5) }}', 'b'],
    ['{{ print "a" 1 }}{{ printf "%s-%d-%q%%" "a" 2 "c" }}', 'a1a-2-"c"%'],
    ['{{ list "a" 1 }} {{ dict "k" "v" }}', '[a 1] map[k:v]'],
  ])('%s', (source, expected) => expect(render(source, new Map([['user', 'john']]))).toBe(expected));
});

test('values are escaped as they are written, text and conditions are not', () => {
  const source = '<{{ if eq .a "<" }}{{ .a }}{{ end }}{{ $b := print .a "b" }}{{ $b }}{{ len .a }}>';
  const escape = (text: string): string => text.replaceAll('<', '&lt;');
  expect(renderTemplate(source, { functions: templateFunctions, data: new Map([['a', '<']]), escape })).toBe(
    '<&lt;&lt;b1>',
  );
});

describe('functions', () => {
  test.each([
    ['{{ join "," (splitList "." "a.b.c") }}', 'a,b,c'],
    ['{{ (split "." "a.b")._1 }}', 'b'],
    ['{{ contains "b" "abc" }}{{ hasPrefix "a" "abc" }}{{ hasSuffix "a" "abc" }}', 'truetruefalse'],
    ['{{ title "some words" }}', 'Some Words'],
    [
      '{{ trim " a " }}|{{ trimAll "$-" "$-5-$" }}|{{ trimPrefix "a" "ab" }}|{{ trimSuffix "b" "ab" }}',
      'a|5|b|a',
    ],
    ['{{ "a.b" | replace "." "$&" }}', 'a$&b'],
    ['{{ quote "a\\"b" "c" }} {{ squote "a" }}', '"a\\"b" "c" \'a\''],
    ['{{ mquote "a" }}{{ mquote "a\\nb" }}', '"a"a\nb'],
    ['{{ indent 2 "a\\nb" }}', '  a\n  b'],
    ['{{ nindent 2 "a" }}', '\n  a'],
    ['{{ sha256sum "abc" }}', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['{{ b64enc "hé" }} {{ b64dec "aMOp" }}', 'aMOp hé'],
    ['{{ get (dict "a" "b") "a" }}{{ get (dict) "a" }}{{ hasKey (dict "a" 1) "a" }}', 'btrue'],
    ['{{ get (set (dict "a" "b") "a" "c") "a" }}', 'c'],
    ['{{ default "d" "" }}{{ default "d" "v" }}{{ empty "" }}', 'dvtrue'],
    ['{{ ternary "y" "n" true }}{{ false | ternary "y" "n" }}', 'yn'],
    ['{{ index (list "a" "b") 1 }}{{ len (list 1 2) }}{{ len "é" }}', 'b22'],
    ['{{ lt 1 2 }}{{ ge "b" "a" }}{{ ne 1 2 }}{{ eq "a" "b" "a" }}', 'truetruetruetrue'],
    ['{{ urlquery "a b&c" }} {{ urlunquery "a+b%26c" }}', 'a+b%26c a b&c'],
    [
      '{{ base "/a/b.c" }}{{ dir "/a/b.c" }}{{ ext "/a/b.c" }}{{ clean "/a/../b" }}{{ isAbs "a" }}',
      'b.c/a.c/bfalse',
    ],
    ['{{ keys (dict "b" 1 "a" 2) | sortAlpha | join "," }}', 'a,b'],
    ['{{ get (dict) "constructor" }}{{ (dict).__proto__ }}', ''],
  ])('%s', (source, expected) => expect(render(source)).toBe(expected));
});

describe('faults', () => {
  test.each([
    ['a\n b {{ nope }}', 2, 7, 'calls "nope"'],
    ['{{ uper "a" }}', 1, 4, 'did you mean "upper"'],
    ['{{ constructor }}', 1, 4, 'no function'],
    ['{{ "a }}', 1, 4, 'has "\\"" where'],
    ['{{ "a"', 1, 1, 'not closed'],
    ['{{', 1, 1, 'not closed'],
    ['{{ }}', 1, 1, 'empty action'],
    ['{{ end }}', 1, 1, 'without a beginning'],
    ['{{ if true }}a', 1, 1, 'without {{ end }}'],
    ['{{ if true }}a{{ else }}b', 1, 1, 'without {{ end }}'],
    ['{{ if true }}{{ else nope }}{{ end }}', 1, 22, 'after else'],
    ['{{ break }}', 1, 1, 'outside of range'],
    ['{{ define "x" }}{{ end }}', 1, 1, 'not supported'],
    ['{{ $x }}', 1, 4, 'not declared'],
    ['{{ $x = 1 }}', 1, 4, 'not declared'],
    ['{{ "a" "b" }}', 1, 4, 'no function'],
    ['{{ ("a" }}', 1, 4, '( without )'],
    ['{{ upper | }}', 1, 1, 'without a value'],
    ['{{ .a.b }}', 1, 4, 'no map'],
    ['{{ range "text" }}{{ end }}', 1, 10, 'no list'],
    ['{{ upper }}', 1, 4, 'upper: needs 1 argument, got 0'],
    ['{{ index (list 1) 3 }}', 1, 4, 'index: has no item 3'],
    ['{{ indent -1 "a" }}', 1, 4, 'needs a width'],
    ['{{ urlunquery "%zz" }}', 1, 4, 'urlunquery'],
    ['{{ repeat 1000000000 "a" }}', 1, 4, 'repeat: needs a number'],
    ['{{ if true }}'.repeat(60), 1, 664, 'nested too deeply'],
    [`{{ ${'('.repeat(60)} }}`, 1, 1, 'nested too deeply'],
    ['{{ range 1000 }}{{ range 1000 }}{{ upper "a" }}{{ end }}{{ end }}', 1, 36, 'too many steps'],
    ['{{ range 1000000 }}{{ end }}', 1, 10, 'too many steps'],
    ['{{ $x := repeat 9999 "0123456789" }}{{ range 1000 }}{{ $x }}{{ end }}', 1, 56, 'more than 16 MiB'],
  ])('%s', (source, line, column, words) => {
    let error: unknown;
    try {
      render(source);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(TemplateError);
    expect(error).toMatchObject({ line, column, message: expect.stringContaining(words) as string });
  });

  test('whatever the text, there is a text or a TemplateError', () => {
    const part = constantFrom(
      '{{',
      '}}',
      '{{-',
      '-}}',
      ' ',
      '"',
      '`',
      '(',
      ')',
      '|',
      '$x',
      ':=',
      '.',
      '.a',
      'if',
      'else',
      'end',
      'range',
      'with',
      'upper',
      'list',
      '1',
      '/*',
      '*/',
      ',',
      '\n',
      '\\',
    );
    assert(
      property(array(part, { maxLength: 30 }), (parts) => {
        expect(outcome(parts.join(''))).not.toBe('crash');
      }),
      { numRuns: 3000, seed: 7 },
    );
  });
});
