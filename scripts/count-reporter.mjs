// Adds up what ran, for the closing line of the test command.
import { appendFileSync } from 'node:fs';

export default class CountReporter {
  onRunComplete(_contexts, results) {
    const file = process.env.NSM_TEST_COUNTS;
    if (file === undefined) return;
    const {
      numPassedTests: passed,
      numFailedTests: failed,
      numPendingTests,
      numTodoTests,
    } = results;
    const broken = results.numRuntimeErrorTestSuites;
    appendFileSync(
      file,
      `${JSON.stringify({ passed, failed: failed + broken, skipped: numPendingTests + numTodoTests })}\n`,
    );
  }
}
