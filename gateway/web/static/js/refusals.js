// What stands over the picture when a film cannot play: which words, which sign, which way on.

const LOGIN = { label: "Log in", href: () => `/login?next=${encodeURIComponent(location.pathname)}` };
const JOIN = { label: "Create an account", href: () => `/register?next=${encodeURIComponent(location.pathname)}` };
const DEVICES = { label: "Manage devices", href: () => "/account" };
const RETRY = { label: "Try again", retry: true };
const HERE = { label: "Play here", retry: true };
const AGAIN = { label: "Play again", retry: true };
/** Ends what plays on the chosen screen, then plays here. */
const INSTEAD = { label: "Play here instead", instead: true };
/** Leads to the price box, where there is one. */
const BUY = { label: "See the prices", buy: true };
const PURCHASES = { label: "My purchases", href: () => "/purchases" };
const WALLET = { label: "Open my wallet", href: () => "/wallet" };
const BROWSE = { label: "See what is showing", href: () => "/" };

const ENTITLEMENT = {
  "not-ready": ["clock", "Not ready yet", "This title is still being prepared. Come back in a little while."],
  "outside-window": ["clock", "Not showing now", "This title can only be watched at certain times, and now is not one of them."],
  blocked: ["lock", "Not available to you", "The seller does not offer this title to your account."],
};

/** `{sign, heading, words, ways, wait}` for a Problem of `/play`, of a playlist or of the network. */
export function refusal(problem) {
  const { status, code } = problem;
  if (status === 0) return say("wifi-off", "No connection", "Check your network. The film goes on where it stopped.", [RETRY], 10);
  if (status === 401 && /^(token|start-window)-/.test(code)) return say("clock", "This link is too old", "Play again, and the film goes on where it stopped.", [AGAIN, BROWSE]);
  if (status === 401) return say("person", "Log in to watch", "You need an account for this title. Creating one takes a minute.", [LOGIN, JOIN, BUY]);
  if (status === 403 && code.startsWith("entitlement-")) return entitlement(code.slice("entitlement-".length), problem);
  if (status === 403 && code === "binding") return say("screen", "This link belongs to another place", "You are on another device or network than the one the film was started on.", [{ ...AGAIN, label: "Play here" }, DEVICES]);
  if (status === 403) return say("lock", "Not allowed", problem.message, [RETRY, BROWSE]);
  if (status === 404) return say("film", "This title is not here", "It may have been withdrawn by its seller.", [BROWSE]);
  if (status === 409) return full(problem);
  if (status === 410) return gone(problem);
  if (status === 402) return say("lock", "Your credit is used up", "Top up your wallet, then the film goes on where it stopped.", [WALLET, RETRY]);
  if (status === 429) return say("clock", "A short break, please", "That were too many requests at once. The film goes on in a moment.", [RETRY], problem.retryAfter || 5);
  if (status === 503) return say("clock", "One moment", "The server is busy. This page tries again by itself.", [RETRY], problem.retryAfter || 3);
  if (status >= 500) return say("alert", "The server has a problem", "It is not you. Please try again in a moment.", [RETRY], 10);
  return say("alert", "The film stopped", problem.message, [RETRY]);
}

function say(sign, heading, words, ways, wait = 0, screens = []) {
  return { sign, heading, words, ways, wait, screens };
}

function entitlement(reason, problem) {
  const known = ENTITLEMENT[reason];
  if (known) return say(...known, [BROWSE]);
  if (reason === "taken-down") return gone(problem);
  if (reason === "right-ended") {
    const words = "What you rented, or bought for one view, has run out. Get it again, and the film goes on where it stopped.";
    return say("clock", "Your time with this title is over", words, [{ ...BUY, label: "Rent or buy again" }, PURCHASES]);
  }
  if (reason === "taken-back") {
    const words = "The purchase was given back or is disputed, so the film stopped. Your purchases say what became of the money.";
    return say("lock", "Your right to watch has ended", words, [{ ...BUY, label: "Rent or buy again" }, PURCHASES]);
  }
  return say("lock", "You have not bought this title", "This account has no right to watch it. If you have bought it with another account, log in with that one.", [
    BUY,
    { ...LOGIN, label: "Use another account" },
    BROWSE,
  ]);
}

function full(problem) {
  const screens = [problem.details.seats, problem.details.sessions].find(Array.isArray) ?? [];
  const words = screens.length > 1
    ? "Choose the screen on which the film may stop, and it goes on here."
    : "The film can stop there and go on here.";
  return say("screen", "All your screens are in use", words, [INSTEAD, { ...RETRY, label: "Look again" }], 0, screens);
}

function gone(problem) {
  const { code } = problem;
  if (/taken-?over/.test(code)) return say("screen", "Playing on another screen", "The film was started somewhere else, so it stopped here.", [HERE, DEVICES]);
  if (/take-?down|taken-?down/.test(code)) return say("flag", "This title was taken down", problem.details.notice || problem.message, [BROWSE]);
  if (code === "stopped") return say("screen", "Stopped from another screen", "You or somebody with your account stopped the film here.", [HERE, DEVICES]);
  if (code === "not-made") return say("alert", "The rest could not be made", "The work on this film stopped before all of it was there. Its seller knows, and may mend it.", [RETRY, BROWSE]);
  if (code === "shared") return say("lock", "This link was used in too many places", "The film was fetched from several places at once, so it stopped. If you did not pass the link on, play again; if you did not watch elsewhere, change your password.", [AGAIN, DEVICES]);
  if (code === "revoked") return say("lock", "Playback was stopped", "The seller or the portal withdrew the link. If you may still watch, the film goes on where it stopped.", [AGAIN, BROWSE]);
  if (code === "over") return say("clock", "This showing is over", "The time of its link is up. If you may still watch, the film goes on where it stopped.", [AGAIN, BROWSE]);
  return say("clock", "This showing is over", problem.message, [AGAIN, BROWSE]);
}
