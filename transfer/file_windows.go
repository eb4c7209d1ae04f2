package transfer

const dontWait = 0 // pipes have names of their own there
