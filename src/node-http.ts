// What is taken of node:http, without an `import` of it. That reads every export, and those that browsers know as well
// load all of undici: a twelfth of a start, and 7 MB that nobody uses.
export const { createServer, request, IncomingMessage, ServerResponse, STATUS_CODES } =
  process.getBuiltinModule('node:http')
