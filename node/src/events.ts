/**
 * Events of all managers of the process, on the diagnostics channel `pay88`: `{ name, time, manager_id, fields }`. Nothing
 * is taken from the library until the channel has a subscriber; none holds a secret.
 */

import { channel } from 'node:diagnostics_channel';

import { type CompletionQueue, native } from './native.js';

/** The same in all languages; later releases may add some. */
export type EventName =
  | 'token_issued'
  | 'token_shared'
  | 'share_degraded'
  | 'token_failed'
  | 'token_invalidated'
  | 'token_kept'
  | 'life_short'
  | 'pause_capped'
  | 'key_fallback'
  | 'key_rotated'
  | 'call_repeated'
  | 'call_failed'
  | 'events_dropped';

/** What subscribers of the channel get. */
export interface Event {
  name: EventName;
  /** `warning` if something went wrong, or somebody should look. */
  level: 'info' | 'warning';
  /** Milliseconds since 1970. */
  time: number;
  /** See `TokenManager.managerId`; 0 for events of the queue itself. */
  manager_id: number;
  fields: Record<string, unknown>;
}

const pay88 = channel('pay88');
let listening = false;

/** Has events delivered to this thread from now on, if anybody here wants them. */
export function listenIfWanted(completions: CompletionQueue): void {
  if (!listening && pay88.hasSubscribers) {
    native.listen(completions);
    listening = true;
  }
}

export function publish(json: string): void {
  if (pay88.hasSubscribers) pay88.publish(JSON.parse(json) as Event);
}
