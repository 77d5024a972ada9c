/**
 * Names of options. They are in snake case in the table of all languages, and in camel case here.
 */

import { native } from './native.js';

/** The options of a manager in camel case, with their defaults. */
export const OPTIONS = new Map<string, string>();
const rows = native.options();
for (let row = 0; row < rows.length; row += 2) OPTIONS.set(camel(rows[row]!), rows[row + 1]!);

const IN_SNAKE_CASE = new RegExp(
  `\\b(?:${[...OPTIONS.keys(), 'safeToRepeat', 'keepOld'].map(snake).join('|')})\\b`,
  'g',
);

/** A sentence of the library, with the names that options have here. */
export function translated(sentence: string): string {
  return sentence.replace(IN_SNAKE_CASE, camel);
}

/**
 * The first name that is not known, with a hint: the nearest known name, or what `others` says about it, and all known
 * names. `undefined` if all names are known.
 */
export function unknownName(
  given: object,
  known: Iterable<string>,
  others: Record<string, string> = {},
): { name: string; hint: string } | undefined {
  const names = [...known];
  const name = Object.keys(given).find((each) => !names.includes(each));
  return name === undefined ? undefined : { name, hint: hintAt(name, names, others) };
}

function hintAt(name: string, names: string[], others: Record<string, string>): string {
  const all = `The options are ${names.join(', ')}.`;
  if (Object.hasOwn(others, name)) return `${others[name]} ${all}`;
  const [near] = names
    .map((each) => ({ each, changes: distance(plain(name), plain(each)) }))
    .sort((a, b) => a.changes - b.changes);
  return near && near.changes <= 2 ? `Did you mean \`${near.each}\`? ${all}` : all;
}

export function camel(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

export function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A name as a message shows it: with control characters escaped, as the library does. */
export function escaped(name: string): string {
  return name.replace(/\p{Cc}/gu, (control) => `\\u{${control.charCodeAt(0).toString(16)}}`);
}

function plain(name: string): string {
  return name.replaceAll(/[_-]/g, '').toLowerCase();
}

/** How many letters have to be inserted, removed or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const letter of a.slice(0, 64)) {
    const next = [row[0]! + 1];
    for (let index = 0; index < b.length; index++) {
      const changed = row[index]! + (letter === b[index] ? 0 : 1);
      next.push(Math.min(changed, row[index + 1]! + 1, next[index]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
