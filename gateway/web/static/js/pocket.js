// Sums of a wallet. They are BigInt: what is above 2^53 comes as text.

/** What may be spent in a currency. */
export function balanceIn(wallet, currency) {
  return BigInt(wallet?.pockets.find((pocket) => pocket.currency === currency)?.free ?? 0);
}

/** What to top up by for a price: what is missing, but at least one unit of the currency, which is worth a payment. */
export function topUpSum(price, have, decimals) {
  const missing = BigInt(price) - have;
  const unit = 10n ** BigInt(decimals);
  return missing > unit ? missing : unit;
}
