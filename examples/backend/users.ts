/** Someone who has an account with this app. */
export interface User {
  /** Of the characters that every kind of token takes as an id. */
  readonly id: string
  readonly name: string
}

/** The accounts of this app. Yours are in a database, behind a password or a passkey. */
export const users: readonly User[] = [
  { id: 'u_alice', name: 'Alice' },
  { id: 'u_bob', name: 'Bob' },
  { id: 'u_chidi', name: 'Chidi' },
  { id: 'u_dana', name: 'Dana' },
]

export function findUser(id: string | undefined): User | undefined {
  return users.find((user) => user.id === id)
}
