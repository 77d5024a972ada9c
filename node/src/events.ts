/**
 * Events of all managers of the process, on the diagnostics channel `pay88`. Nothing is taken from the library until
 * the channel has a subscriber. No event holds a secret.
 */

import { channel } from 'node:diagnostics_channel';

import { rethrown } from './errors.js';
import { type CompletionQueue, native } from './native.js';

/** The kinds of events, which are the same in all languages. Later releases may add some. */
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

/** What subscribers of the channel `pay88` get. docs/monitoring.md describes each kind. */
export interface Event {
  /** The kind of event. */
  name: EventName;
  /** `warning` if something went wrong, or if somebody should look at it. */
  level: 'info' | 'warning';
  /** Milliseconds since 1970. */
  time: number;
  /** The manager in which it happened, as in `TokenManager.managerId`; 0 for events of the queue itself. */
  manager_id: number;
  /** The fields that belong to this kind of event. */
  fields: Record<string, unknown>;
}

const pay88 = channel('pay88');
let listening = false;

/** From now on delivers events to this thread, if the channel has a subscriber here. */
export function listenIfWanted(completions: CompletionQueue): void {
  if (!listening && pay88.hasSubscribers) {
    rethrown(() => native.listen(completions));
    listening = true;
  }
}

export function publish(json: string): void {
  if (pay88.hasSubscribers) pay88.publish(JSON.parse(json) as Event);
}
