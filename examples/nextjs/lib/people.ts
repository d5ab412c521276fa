/** The rows of both dashboards; a real app reads them from its database. */
export type Person = { name: string; role: string; seen: string; tasks: number };

export const people: Person[] = [
  { name: "a.silva", role: "buyer", seen: "today", tasks: 0 },
  { name: "m.okafor", role: "support", seen: "today", tasks: 4 },
  { name: "l.berg", role: "admin", seen: "yesterday", tasks: 1 },
];
