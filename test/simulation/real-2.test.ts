import { realSuite } from "./real-suite.ts";

realSuite({ part: 1, of: 2 });
