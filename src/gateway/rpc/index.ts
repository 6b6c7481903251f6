export { RpcAudit } from './rpc-audit.js';
export { FAILED_SUBSYSTEMS_HEADER, NOTES_HEADER, POLLED_SUBSYSTEMS_HEADER } from './answer-headers.js';
export { RPC_ANSWERS, type RpcAnswers } from './rpc-answers.js';
export { type EndedRpc, RPC_OBSERVERS, type RpcObserver } from './rpc-call.js';
export { RpcServer } from './rpc-server.js';
