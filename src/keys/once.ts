/** What is made of `key`, made when it is first asked for and kept for as long as the key is. */
export function once<Key extends WeakKey, Value>(
  made: WeakMap<Key, Value>,
  key: Key,
  make: (key: Key) => Value,
): Value {
  const known = made.get(key)
  if (known !== undefined) return known
  const value = make(key)
  made.set(key, value)
  return value
}
