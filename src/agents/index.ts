export { progressFields } from './agent-protocol.dto.js';
export { AgentWork, type WorkLeases } from './agent-work.js';
export { type AgentsConfig, agentsConfig, agentsProblems } from './agents.config.js';
export { AgentsModule } from './agents.module.js';
export { BootstrapTokenCleanup } from './bootstrap/bootstrap-token-cleanup.js';
export { type AgentHealthResult, AgentHealthSweep } from './health/agent-health-sweep.js';
export { StoredAgentDirectory } from './stored-agent-directory.js';
