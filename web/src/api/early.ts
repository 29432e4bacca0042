// What public/early.js asked for before the pages' code was there: every answer is given out once.

type Early = Record<string, Promise<Response> | undefined>;

const answers = (): Early => (window as unknown as { ploinkyEarly?: Early }).ploinkyEarly ?? {};

/** The answer that is on its way, or undefined: then it must be asked for. */
export function takeEarly(name: string): Promise<Response> | undefined {
  const early = answers();
  const answer = early[name];
  delete early[name];
  return answer;
}
