# Stops one process.
# Takes base64 of JSON in UTF-8: {"process_id": "4711", "process_name": "name.exe"}. With a name, only a process that has it.
# Says "QUELL done" last when the process has ended, "QUELL failed: why" when it has not; other words go before.
param([Parameter(Mandatory = $true)][string] $Arguments)
$ErrorActionPreference = 'Stop'
# Windows stops with an error when one of these ends.
$vital = @('Idle', 'System', 'Registry', 'smss', 'csrss', 'wininit', 'services', 'lsass', 'winlogon')
try {
    $given = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($Arguments)) | ConvertFrom-Json
    $process = Get-Process -Id ([int] $given.process_id)
    if ($vital -contains $process.ProcessName) { throw "Windows itself needs $($process.ProcessName); it was left alone." }
    if ($given.process_name -and ($given.process_name -replace '\.exe$', '') -ne $process.ProcessName) {
        throw "Process $($process.Id) is $($process.ProcessName) now; it was left alone."
    }
    Stop-Process -InputObject $process -Force
    if (-not $process.WaitForExit(15000)) { throw "Process $($process.Id) is still running." }
    Write-Output "QUELL stopped process $($given.process_id), $($process.ProcessName)"
}
catch {
    Write-Output ('QUELL failed: ' + ($_.Exception.Message -replace '\s+', ' '))
    exit 1
}
Write-Output 'QUELL done'
exit 0
