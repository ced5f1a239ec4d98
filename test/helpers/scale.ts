/** How large a trial is: what is promised with LONG=1, and otherwise as much of it as shows a fault in seconds. */
export function inFull(promised: number, otherwise: number): number {
  return process.env.LONG ? promised : otherwise
}
