// Turns: what was asked for before the last asking counts for nothing when it comes.

/**
 * Gives `begin()`: it ends the turn before and answers the signal of a new one, which aborts when the next begins or
 * `within` aborts. Who waited for an answer looks at it before drawing that.
 */
export function turns(within = null) {
  let turn = new AbortController();
  return () => {
    turn.abort();
    turn = new AbortController();
    return within ? AbortSignal.any([turn.signal, within]) : turn.signal;
  };
}
