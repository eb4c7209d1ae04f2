if not exist "%LIBRARY_BIN%" mkdir "%LIBRARY_BIN%"
copy agent.exe "%LIBRARY_BIN%\agent.exe" || exit 1
