import { Api } from "./service/api";
import { Session } from "./session";
import { Page } from "./ui/page";

const api = new Api();
const page = new Page(api, {
  openFiles: (files) => void session.openFiles(files),
  openExample: (example, name) => void session.openExample(example, name),
  reorder: (channels) => void session.reorder(channels),
  attributeStains: () => void session.attributeStains(),
  cancelAttribution: () => session.cancelAttribution(),
  onProblem: (error, tryAgain) => void session.onProblem(error, tryAgain),
});
const session = new Session(api, page);
void session.begin();
