// The ways money comes and goes by, as people call them.
const NAMES = { wallet: "Wallet", bank: "Bank transfer", stripe: "Stripe", sandbox: "Sandbox" };

export const railName = (rail) => NAMES[rail] ?? rail;
