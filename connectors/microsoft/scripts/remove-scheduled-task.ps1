# Removes one scheduled task.
# Takes base64 of JSON in UTF-8: {"task_name": "\\Folder\\Name"}, the whole name with its folder.
# Says "QUELL done" last when the task is gone, "QUELL failed: why" when it is not; other words go before.
param([Parameter(Mandatory = $true)][string] $Arguments)
$ErrorActionPreference = 'Stop'
try {
    $given = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($Arguments)) | ConvertFrom-Json
    # Compared, not looked up by name: in a name given to Get-ScheduledTask, * and ? stand for many tasks.
    $tasks = @(Get-ScheduledTask | Where-Object { ($_.TaskPath + $_.TaskName) -eq $given.task_name })
    if ($tasks.Count -ne 1) { throw "There is no scheduled task $($given.task_name)." }
    Unregister-ScheduledTask -InputObject $tasks[0] -Confirm:$false
    $left = @(Get-ScheduledTask | Where-Object { ($_.TaskPath + $_.TaskName) -eq $given.task_name })
    if ($left.Count -ne 0) { throw "The scheduled task $($given.task_name) is still there." }
    Write-Output "QUELL removed the scheduled task $($given.task_name)"
}
catch {
    Write-Output ('QUELL failed: ' + ($_.Exception.Message -replace '\s+', ' '))
    exit 1
}
Write-Output 'QUELL done'
exit 0
