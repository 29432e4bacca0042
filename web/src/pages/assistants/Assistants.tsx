export default function Assistants() { return null; }
