import { realSuite } from "./real-suite.ts";

realSuite({ part: 0, of: 2 });
