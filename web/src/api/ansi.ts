// Programs colour what they print; a log shows the text alone.

// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

export const plainText = (text: string): string => text.replace(ESCAPES, "").replace(/\r\n?/g, "\n");
